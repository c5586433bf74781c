import type { StoragePool } from '../../shared/domain/fleet.ts'
import { errorCode, LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Volumes } from './volumes.ts'

/** What is wrong with a disk, as the reason codes know it. */
export interface DiskProblem {
  readonly error: string
  readonly code: 'disk-not-local' | 'disk-has-backing-file' | 'disk-unreadable'
}

/**
 * One kind of storage behind the Volumes seam: LVM, or files. volumes-host.ts asks the one a path belongs to; the
 * promises are those of Volumes.
 */
export interface VolumeStore
  extends Pick<
    Volumes,
    | 'inspect'
    | 'create'
    | 'adopt'
    | 'discard'
    | 'keep'
    | 'unkeep'
    | 'kept'
    | 'drop'
    | 'read'
    | 'write'
    | 'directAccess'
  > {
  pools(): Promise<readonly StoragePool[]>
}

/**
 * Drops kept volumes, oldest first, until in each volume group or thin pool named so many bytes are free; none anywhere
 * when all of them would not do for one of these, or it is neither. Returns the paths dropped.
 */
export type MakeRoom = (
  neededBytes: ReadonlyMap<string, number>,
  run: CommandRunner,
) => Promise<readonly string[]>

/** Runs something and, if it fails, says so in the words of this layer with the cause attached; the code is kept. */
export async function told<T>(message: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new LifeboatError(errorCode(error), message, { cause: error })
  }
}
