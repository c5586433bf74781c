import type { BackupMode } from '../../shared/domain/backup.ts'
import type { Vm, Volume } from '../../shared/domain/fleet.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Json } from '../../shared/saga/definition.ts'
import type { Consistency } from '../vault/format/manifest.ts'

export { BACKUP_MODES, type BackupMode } from '../../shared/domain/backup.ts'

export interface SnapshotRequest {
  readonly backupId: string
  readonly vm: Vm
  readonly mode: Exclude<BackupMode, 'off'>
  /** The VM runs again after this long, whatever dies (rule 2). */
  readonly pauseBudgetMs: number
  /** Although this kernel is known to panic on snapshots. */
  readonly force: boolean
}

/** What was found out before the guest is touched; journaled, so that a later process can undo it. Plain JSON. */
export interface SnapshotPlan {
  readonly backupId: string
  readonly vmId: string
  readonly vmName: string
  readonly mode: Exclude<BackupMode, 'off'>
  readonly pauseBudgetMs: number
  /** Names, sizes, mount points: the implementation's own. */
  readonly own: Json
}

/** Where a disk may differ from the restore point `basePoint`, in ascending order; the end of a range is not in it. */
export interface ChangedRanges {
  readonly basePoint: string
  readonly ranges: readonly { readonly fromBytes: number; readonly toBytes: number }[]
}

/** One disk to read. */
export interface SnapshotSource {
  readonly volume: Volume
  /** Device or file with the bytes of the moment. */
  readonly path: string
  readonly sizeBytes: number
  /** By thin_delta; undefined: not known, read all. */
  readonly changed: ChangedRanges | undefined
}

export interface Snapshot {
  readonly at: number
  readonly consistency: Consistency
  /** How long the guest stood still; 0 for crash and stopped. */
  readonly pauseMs: number
  readonly sources: readonly SnapshotSource[]
}

/** A snapshot this host still has, by its tag. */
export interface LeftoverSnapshot {
  readonly path: string
  readonly backupId: string
  /** Kept on purpose, as the base of the next night. */
  readonly base: boolean
}

/**
 * The seam to snapshots of a VM's disks. Contract: test/contract/snapshots.ts.
 * Errors: `refused` (no room, kernel known bad, a disk that can not be snapshotted), `timeout` (the pause budget ran
 * out; the VM runs), `command-failed`, `tool-missing`, `unavailable`.
 */
export interface Snapshots {
  /**
   * Everything that can be done before the pause: room, names, kernel. Changes nothing a guest could notice. `onDropped`: a
   * volume kept after a move went, for room that was not there otherwise (rule 3).
   */
  plan(
    request: SnapshotRequest,
    run: CommandRunner,
    onDropped?: (path: string) => void,
  ): Promise<SnapshotPlan>
  /**
   * Holds the guest, snapshots all volumes, lets it go. When it rejects, the guest runs as before and no snapshot of
   * this plan is left. An independent timer lets the guest go should this process die (rule 2).
   */
  take(plan: SnapshotPlan, run: CommandRunner): Promise<Snapshot>
  /**
   * Rejects when a snapshot is about to overflow and was dropped for it; extends it before that where there is room.
   * Resolves when the signal is aborted.
   */
  watch(plan: SnapshotPlan, run: CommandRunner, signal: AbortSignal): Promise<void>
  /**
   * Removes what `take` made, whole or half; resumes or thaws a guest that this plan still holds. Idempotent, and
   * works from the plan alone after a crash. With `published` a thin snapshot may be kept as the base of the next night.
   */
  release(plan: SnapshotPlan, published: string | undefined, run: CommandRunner): Promise<void>
  /** Every snapshot of ours on this host, by tag; the agent releases those no backup owns. */
  leftovers(run: CommandRunner): Promise<readonly LeftoverSnapshot[]>
  /** Removes one leftover. Refuses what does not bear our tag. Idempotent. */
  drop(leftover: LeftoverSnapshot, run: CommandRunner): Promise<void>
}
