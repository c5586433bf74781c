import type { StoragePool, Volume } from '../../shared/domain/fleet.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/** What a path given as a VM's disk really is. */
export type VolumeInfo = Omit<Volume, 'target'>

/** A source volume that is kept, renamed, after its VM moved (rule 3). */
export interface KeptVolume {
  readonly path: string
  readonly pool: string
  readonly sizeBytes: number
  /** Of the move that left it; part of its new name. */
  readonly moveId: string
}

/**
 * The seam to local storage: LVM thick and thin, and files. `test/contract/volumes.ts` is the contract in code.
 * Paths outside the pools are refused. Errors: `command-failed`, `bad-tool-output`, `tool-missing`, `timeout`,
 * `refused`, `not-found`, `already-exists`, `unavailable` (a device or directory cannot be read or written).
 */
export interface Volumes {
  /** Volume groups, thin pools, and the directories that hold disks of VMs. */
  pools(): Promise<readonly StoragePool[]>
  /** What is behind each path; a path that cannot be read or is no LV or raw/qcow2 file maps to an error text. */
  inspect(paths: readonly string[]): Promise<
    ReadonlyMap<
      string,
      | VolumeInfo
      | {
          readonly error: string
          readonly code: 'disk-not-local' | 'disk-has-backing-file' | 'disk-unreadable'
        }
    >
  >
  /**
   * Makes an empty volume of the same path, size, kind and format, marked as belonging to `moveId`. Idempotent: one
   * already made for this move is left as it is; one that belongs to anybody else is `already-exists`.
   * When the pool is short, kept volumes are dropped first, oldest first; returns the paths dropped.
   */
  create(
    volume: VolumeInfo,
    moveId: string,
    run: CommandRunner,
    options?: CreateOptions,
  ): Promise<readonly string[]>
  /** Removes the mark: the volume is its VM's from now on. Idempotent. */
  adopt(path: string, moveId: string, run: CommandRunner): Promise<void>
  /** Removes a volume that still bears the mark of `moveId`; never any other. Idempotent. */
  discard(path: string, moveId: string, run: CommandRunner): Promise<void>
  /** Renames the volume out of the way and marks it kept. Idempotent: already renamed is done. Returns the new path. */
  keep(path: string, moveId: string, run: CommandRunner): Promise<string>
  /** Undo of keep. Idempotent. */
  unkeep(path: string, moveId: string, run: CommandRunner): Promise<void>
  kept(): Promise<readonly KeptVolume[]>
  /** Removes a kept volume for good: its grace time is over. Idempotent. Refuses one that is not marked kept. */
  drop(path: string, run: CommandRunner): Promise<void>
  /** The bytes of a volume nobody writes, in order, holes and zero blocks left out (a cold move). A file as it is. */
  read(path: string, signal: AbortSignal): AsyncIterable<VolumeExtent>
  /**
   * Writes extents, in ascending order, to a volume made by `create` and not adopted yet, and returns when they are
   * durable. What they leave out reads zero afterwards, whatever the disk held there before.
   */
  write(path: string, extents: AsyncIterable<VolumeExtent>): Promise<void>
  /**
   * For another process that writes a volume made by `create` for `moveId` and not adopted yet: which file or device of
   * this host it is. Refuses (`refused`) any other volume. An image file is emptied: what is written is the whole of it.
   */
  directAccess(path: string, moveId: string): Promise<DirectAccess>
}

export interface CreateOptions {
  /** No kept volume goes, whatever the pool lacks: for a volume that nobody needs for long. Default false. */
  readonly sparesKept?: boolean
}

export interface DirectAccess {
  readonly path: string
  /** What is not written reads zero; false: it shows what the disk held before, so zeroes must be written too. */
  readonly readsZero: boolean
}

export interface VolumeExtent {
  readonly offsetBytes: number
  readonly data: Buffer
}
