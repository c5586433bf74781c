import * as z from 'zod'
import type { Volume } from '../../../shared/domain/fleet.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { Json } from '../../../shared/saga/definition.ts'
import type { SnapshotPlan } from '../snapshots.ts'

const MOUNTS = {
  ext2: 'ro,noload',
  ext3: 'ro,noload',
  ext4: 'ro,noload',
  xfs: 'ro,nouuid,norecovery',
} as const
/** File systems whose snapshot can be mounted beside themselves, and how: the journal of a snapshot is not replayed. */
export type MountType = keyof typeof MOUNTS
export const mountOptions = (type: MountType): string => MOUNTS[type]
export const isMountType = (type: string): type is MountType => Object.hasOwn(MOUNTS, type)

const SNAPSHOT = z.object({
  group: z.string().min(1),
  origin: z.string().min(1),
  name: z.string().min(1),
  kind: z.enum(['thick', 'thin']),
  /** Thin only; '' otherwise. */
  pool: z.string(),
  /** Thick only: room for what is written meanwhile. */
  roomBytes: z.number(),
  originBytes: z.number(),
  /** File system on it that holds disk files; null: it is a disk itself. */
  fileSystem: z.enum(['ext2', 'ext3', 'ext4', 'xfs']).nullable(),
  /** Where that file system is mounted now. */
  mountedOn: z.string(),
})
/** One LVM snapshot to be made. */
export type PlannedSnapshot = z.output<typeof SNAPSHOT>

const OWN = z.object({
  /** How the guest is held while its disks are snapshotted. */
  hold: z.enum(['pause', 'freeze', 'none']),
  snapshots: z.array(SNAPSHOT),
  sources: z.array(
    z.object({
      volume: z.custom<Volume>(value => typeof value === 'object' && value !== null),
      /** Of `snapshots`; -1: the file itself is read, since its VM is off. */
      snapshot: z.int().min(-1),
      /** File inside the file system of the snapshot, or the file itself; '' for a device. */
      file: z.string(),
    }),
  ),
})
/** The implementation's own part of a plan. */
export type OwnPlan = z.output<typeof OWN>

/** Throws `internal` for a plan that somebody else made. */
export function readOwn(plan: SnapshotPlan): OwnPlan {
  const result = OWN.safeParse(plan.own)
  if (result.success) return result.data
  throw new LifeboatError('internal', `the plan of backup ${plan.backupId} is none of LVM snapshots`, {
    cause: result.error,
  })
}

export const ownAsJson = (own: OwnPlan): Json => JSON.parse(JSON.stringify(own)) as Json
