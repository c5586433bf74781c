import { formatDuration } from '../../shared/domain/units.ts'
import { formatAddress, splitAddress } from '../../shared/rpc/address.ts'
import type { BackupOutcome, BootTest } from '../store/backups.ts'
import type { PointRecord } from '../store/points.ts'
import type { Store } from '../store/store.ts'
import type { VaultRecord } from '../store/vaults.ts'
import { chooseVault, type EffectivePolicy, effectivePolicy } from './policy.ts'
import type { BackupConfig } from './settings.ts'
import { failuresSince, type Standing, standingOf } from './standing.ts'

interface Named {
  readonly id: string
  readonly name: string
}

/** One consistent read of everything about backups, for a pass of the reconciler or an answer of the API. */
export interface KnownBackups {
  /** Where backups go; undefined: nowhere, and every policy says why. */
  readonly vault: VaultRecord | undefined
  readonly vaults: readonly VaultRecord[]
  readonly points: readonly PointRecord[]
  /** The newest first. */
  readonly tests: readonly BootTest[]
  policyOf(vm: Named): EffectivePolicy
  standingOf(vm: Named, now: number): Standing
  /** The newest first; also of a VM that is gone, by the name it had. */
  pointsOf(vmId: string): readonly PointRecord[]
}

/** Reads the store once. */
export function readBackups(store: Store, config: BackupConfig): KnownBackups {
  const vaults = store.vaults.list()
  const joined = vaults.filter(vault => vault.joinedAt > 0)
  const names = joined.map(vault => vault.name)
  const chosen = chooseVault(config.vault, names)
  const vault = joined.find(each => each.name === chosen.name)
  const points = store.points.list()
  const byVm = Map.groupBy(points, point => point.vmId)
  const tests = store.backups.bootTests()
  const testsByVm = Map.groupBy(tests, test => test.vmId)
  const tags = store.tags.all()
  const firstSeen = new Map(store.vms.list().map(vm => [vm.id, vm.firstSeenAt]))
  const policyOf = ({ id, name }: Named) =>
    effectivePolicy({ vm: name, tags: tags.get(id) ?? {}, config, vaults: names })
  return {
    vault,
    vaults,
    points,
    tests,
    policyOf,
    pointsOf: vmId => byVm.get(vmId) ?? [],
    standingOf: (vm, now) =>
      standingOf({
        now,
        policy: policyOf(vm),
        points: byVm.get(vm.id) ?? [],
        tests: testsByVm.get(vm.id) ?? [],
        knownSince: Math.max(firstSeen.get(vm.id) ?? 0, vault?.joinedAt ?? 0),
        overdueMs: config.overdueMs,
      }),
  }
}

/** What is known, where a standing also says why the newest try failed: an age alone says nothing of tonight. Pure. */
export function tellingFailures(known: KnownBackups, outcomes: readonly BackupOutcome[]): KnownBackups {
  const byVm = Map.groupBy(outcomes, outcome => outcome.vmId)
  return {
    ...known,
    standingOf: (vm, now) => {
      const standing = known.standingOf(vm, now)
      const [last] = failuresSince(byVm.get(vm.id) ?? [], known.pointsOf(vm.id))
      if (last === undefined) return standing
      const age = formatDuration(Math.max(0, now - last.at))
      return { ...standing, text: `${standing.text}; the newest try failed ${age} ago: ${last.text}` }
    },
  }
}

/** host:port of a vault's door for agents: on the same host, by the port that the vault told, or the next one. */
export function agentsAddress({ address, status }: VaultRecord): string {
  const { host, port } = splitAddress(address)
  return formatAddress(host, status?.agentsPort || port + 1)
}
