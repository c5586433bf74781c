import type { KnownBackups } from '../../controller/backup/known.ts'
import { effectivePolicy } from '../../controller/backup/policy.ts'
import type { BackupConfig } from '../../controller/backup/settings.ts'
import { standingOf } from '../../controller/backup/standing.ts'
import { defaultControllerConfig } from '../../controller/config.ts'
import type { BootTest } from '../../controller/store/backups.ts'
import type { PointRecord } from '../../controller/store/points.ts'
import type { VaultRecord } from '../../controller/store/vaults.ts'
import { PointSummary, VaultStatus } from '../../proto/gen/lifeboat/v1/vault.ts'
import { GIB, HOUR_MS } from '../../shared/domain/units.ts'
import { NIGHT } from './fleet-builder.ts'

/** A restore point of the VM of that name (ids as in fleet-builder), so many hours before the night. */
export function point(vm: string, hoursAgo: number, change: Partial<PointRecord> = {}): PointRecord {
  const at = NIGHT - hoursAgo * HOUR_MS
  const name = `${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
  const summary = PointSummary.fromPartial({
    vmId: `id-${vm}`,
    vm,
    point: name,
    blade: 'blade01',
    at,
    state: 'whole',
    durationMs: 600_000,
  })
  return { ...summary, vault: 'depot', ...change }
}

export function vaultRecord(
  status: Partial<VaultStatus> = {},
  change: Partial<VaultRecord> = {},
): VaultRecord {
  return {
    name: 'depot',
    address: 'depot:7423',
    addedAt: 1,
    joinedAt: NIGHT - 1000 * HOUR_MS,
    version: '0.1.0',
    status: VaultStatus.fromPartial({
      name: 'depot',
      accepts: true,
      sizeBytes: 100 * GIB,
      freeBytes: 50 * GIB,
      ...(status as object),
    }),
    seenAt: NIGHT,
    clockOffsetMs: 0,
    error: '',
    failingSince: 0,
    ...change,
  }
}

export function bootTest(
  vm: string,
  hoursAgo: number,
  ok: boolean,
  change: Partial<BootTest> = {},
): BootTest {
  return {
    operation: `o-${vm}-${hoursAgo}`,
    vault: 'depot',
    vmId: `id-${vm}`,
    vm,
    point: '20260301T000000Z',
    at: NIGHT - hoursAgo * HOUR_MS,
    ok,
    recoveryMs: ok ? 42_000 : 0,
    error: ok ? '' : 'no sign of life within 5 min',
    toldAt: 0,
    ...change,
  }
}

export interface BackupSketch {
  readonly points?: readonly PointRecord[]
  readonly vaults?: readonly VaultRecord[]
  readonly tests?: readonly BootTest[]
  /** By VM name. */
  readonly tags?: Readonly<Record<string, Record<string, string>>>
  readonly config?: Partial<BackupConfig>
}

/** What is known of backups, without a database. One vault unless it is said otherwise. */
export function backups(sketch: BackupSketch = {}): KnownBackups {
  const config = { ...defaultControllerConfig().backup, ...sketch.config }
  const vaults = sketch.vaults ?? [vaultRecord()]
  const points = sketch.points ?? []
  const tests = sketch.tests ?? []
  const policyOf: KnownBackups['policyOf'] = ({ name }) =>
    effectivePolicy({
      vm: name,
      tags: sketch.tags?.[name] ?? {},
      config,
      vaults: vaults.map(vault => vault.name),
    })
  const pointsOf = (vmId: string) => points.filter(each => each.vmId === vmId).toSorted((a, b) => b.at - a.at)
  return {
    vault: vaults[0],
    vaults,
    points,
    tests,
    policyOf,
    pointsOf,
    standingOf: (vm, now) =>
      standingOf({
        now,
        policy: policyOf(vm),
        points: pointsOf(vm.id),
        tests: tests.filter(test => test.vmId === vm.id),
        knownSince: NIGHT - 1000 * HOUR_MS,
        overdueMs: config.overdueMs,
      }),
  }
}
