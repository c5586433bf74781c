import { join } from 'node:path'
import { joinFleet } from '../../agent/join.ts'
import { createSimRunner } from '../../agent/sim/runner.ts'
import { createVault, makeVaultDirectory, type VaultService } from '../../agent/vault/bootstrap.ts'
import { defaultVaultConfig, type VaultConfig } from '../../agent/vault/config.ts'
import { openVaultStore } from '../../agent/vault/store/vault-store.ts'
import type { PointSummary } from '../../agent/vault/vault.ts'
import { type Clock, randomIds } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import { freePortPair } from './ports.ts'

/** A real vault in a directory: the same service that the unit runs, with both its doors. */
export interface SimVault {
  readonly name: string
  /** Restore points and chunks: what a person could carry away. */
  readonly dir: string
  /** host:port of its door for the controller; the same over restarts. */
  readonly address: string
  readonly isRunning: boolean
  join(controller: string, token: string): Promise<void>
  start(): Promise<void>
  /** Its restore points as anybody sees them who reads the directory. */
  points(): Promise<readonly PointSummary[]>
  /** Backups coming in break off, as they do when its host goes away. */
  stop(): Promise<void>
}

/** Does not start it; everything of it lies below `dir`. */
export async function createSimVault(options: {
  name: string
  dir: string
  clock: Clock
  log: Logger
}): Promise<SimVault> {
  const { name, clock, log } = options
  const port = await freePortPair()
  const config: VaultConfig = {
    ...defaultVaultConfig(),
    dir: join(options.dir, 'vault'),
    stateDir: join(options.dir, 'service'),
    controlListen: `127.0.0.1:${port}`,
    doorListen: `127.0.0.1:${port + 1}`,
    // The temporary directory of a nearly full machine is no full vault.
    reservePercent: 0,
  }
  // No `sync` either: what a power cut would take is not simulated.
  const seams = { clock, ids: randomIds, run: createSimRunner(clock), log }
  let service: VaultService | undefined
  return {
    name,
    dir: config.dir,
    address: config.controlListen,
    get isRunning() {
      return service !== undefined
    },
    async join(controller, token) {
      await joinFleet({ role: 'vault', controller, token, stateDir: config.stateDir, force: false, clock })
      await makeVaultDirectory(config, seams)
    },
    async start() {
      service = await createVault(config, seams)
    },
    async points() {
      const reader = openVaultStore({ ...seams, dir: config.dir, access: 'read' })
      try {
        return await reader.points()
      } finally {
        await reader.close()
      }
    },
    async stop() {
      const stopping = service
      service = undefined
      await stopping?.close()
    },
  }
}
