import type { BackupRecoveryOptions } from '../../agent/backup/recovery.ts'
import { formatPoint } from '../../agent/vault/format/point.ts'
import type { Volume } from '../../shared/domain/fleet.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { silentLogger } from '../../shared/log.ts'
import type { SagaJournal } from '../../shared/saga/journal.ts'
import {
  createTwoBlades,
  DISK,
  type FakeBlade,
  type TwoBlades,
  VM_ID,
} from '../unit/agent/operations/two-blades.ts'

/** The moment of every snapshot a memory of disks takes. */
export const SNAPSHOT_AT = 1_790_000_000_000
export const POINT_NAME = formatPoint(SNAPSHOT_AT)
export const NEW_ID = '77777777-7777-4777-8777-777777777777'
export const NEW_DISK = '/dev/vg0/restored'

const FOREVER = SNAPSHOT_AT + 1000 * HOUR_MS

export const BACKUP_PARAMS = {
  vmId: VM_ID,
  vmName: 'db01',
  generation: 1,
  epoch: 1,
  deadlineAt: FOREVER,
  mode: '',
  force: false,
} as const

const VOLUME: Volume = {
  target: 'vda',
  path: NEW_DISK,
  storage: 'thick',
  pool: 'vg0',
  sizeBytes: 64,
  allocatedBytes: 64,
  format: 'raw',
}

const POINT_PARAMS = {
  ...BACKUP_PARAMS,
  vmId: NEW_ID,
  restoreId: 'r1',
  vault: { name: 'depot', address: '127.0.0.1:7424' },
  pointVmId: VM_ID,
  point: POINT_NAME,
  volumes: [{ ...VOLUME }],
} as const

export const RESTORE_PARAMS = {
  ...POINT_PARAMS,
  vmName: 'db01-copy',
  newIdentity: true,
  start: true,
  onlyDisk: '',
} as const

export const BOOT_PARAMS = {
  ...POINT_PARAMS,
  vmName: 'lifeboat-test-77777777',
  bootLimitMs: 60_000,
  sign: 'any',
} as const

/** A blade with a running VM. */
export function backupWorld(state: 'running' | 'stopped' = 'running'): TwoBlades {
  return createTwoBlades(state)
}

/** The same, with its disk in the vault already. */
export function restoreWorld(): TwoBlades {
  const world = createTwoBlades()
  const { path: _path, ...disk } = VOLUME
  world.vault.points.set(`${VM_ID}/${POINT_NAME}`, {
    disks: new Map([['vda', 'the data']]),
    manifest: {
      format: 'lifeboat-restore-point',
      version: 1,
      vm: { id: VM_ID, name: 'db01' },
      point: POINT_NAME,
      blade: 'blade01',
      at: SNAPSHOT_AT,
      consistency: 'paused',
      pauseMs: 12,
      definition: JSON.stringify({ id: VM_ID, name: 'db01' }),
      memoryBytes: 1,
      vcpus: 1,
      disks: [{ ...disk, path: DISK, chunkBytes: 512 * 1024, indexSha256: '0'.repeat(64) }],
      figures: { readBytes: 64, sentBytes: 10, storedBytes: 5, durationMs: 7 },
      writer: 'test',
    },
  })
  return world
}

/** For the recovery of a blade whose sagas stand in that journal. */
export function recoveryOf(
  blade: FakeBlade,
  journal: SagaJournal,
  view: BackupRecoveryOptions['view'],
): BackupRecoveryOptions {
  const { run, clock, transfer } = blade.services
  const { seam: snapshots } = blade.snapshots
  return { snapshots, transfer, journal, view, runFor: () => run, run, clock, log: silentLogger }
}
