import type { FleetState } from '../fleet/fleet-state.ts'
import type { Sessions } from '../fleet/sessions.ts'
import type { Store } from '../store/store.ts'
import { agentSettings } from './agent-settings.ts'
import { agentsAddress, readBackups } from './known.ts'
import type { BackupConfig } from './settings.ts'

/** Keeps the agents' own settings of backups as the policies are. */
export interface SettingsPush {
  /** The blade has greeted: it is told, whatever an earlier session was. */
  connected(blade: string, now: number): void
  /** Tells those whose settings are others than they were told. */
  pass(now: number): void
}

export interface SettingsPushOptions {
  readonly store: Store
  readonly fleet: FleetState
  readonly sessions: Pick<Sessions, 'send' | 'isConnected'>
  readonly config: BackupConfig
}

/** What was told is remembered in memory: a restart tells everybody again, with the greeting. */
export function createSettingsPush({ store, fleet, sessions, config }: SettingsPushOptions): SettingsPush {
  const told = new Map<string, string>()
  const tell = (blades: readonly string[], now: number) => {
    const { vault } = readBackups(store, config)
    const tags = store.tags.all()
    const { vms } = fleet.snapshot(now)
    for (const blade of blades) {
      const value = agentSettings({
        config,
        tags,
        vms: vms.filter(vm => vm.blade === blade),
        vault: vault && { name: vault.name, address: agentsAddress(vault) },
      })
      const text = JSON.stringify(value)
      if (told.get(blade) === text) continue
      if (sessions.send(blade, { kind: { $case: 'backupSettings', value } })) told.set(blade, text)
    }
  }
  return {
    connected: (blade, now) => {
      told.delete(blade)
      tell([blade], now)
    },
    pass: now => {
      const connected = store.blades.list().filter(blade => sessions.isConnected(blade.name))
      tell(
        connected.map(blade => blade.name),
        now,
      )
    },
  }
}
