import { statfs } from 'node:fs/promises'
import { formatBytes, MIB } from '../../../shared/domain/units.ts'
import { fileError } from './files.ts'

/** Of the file system the vault lies on. */
export interface Space {
  readonly sizeBytes: number
  /** What this user may still write. */
  readonly freeBytes: number
}

/** The vault's own records need a little, and file systems get slow on their last blocks. */
const LAST_BYTES = 64 * MIB
const LAST_SHARE = 0.01

export async function readSpace(path: string): Promise<Space> {
  try {
    const { bsize, blocks, bavail } = await statfs(path)
    return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize }
  } catch (error) {
    throw fileError(`cannot tell the room of ${path}`, error)
  }
}

/** Why no new backup may begin; '' when it may. */
export function tooFull(space: Space, reservePercent: number): string {
  const wanted = Math.ceil((space.sizeBytes * reservePercent) / 100)
  if (space.freeBytes >= wanted) return ''
  return `the vault has ${formatBytes(space.freeBytes)} of ${formatBytes(space.sizeBytes)} free and keeps ${formatBytes(wanted)} (${reservePercent} %): prune restore points or give it a larger disk; no backup is taken until then`
}

/** Why a backup that runs must end; '' while it may go on. It may use the reserve, but not the last of it. */
export function usedUp(space: Space): string {
  if (space.freeBytes >= Math.min(LAST_BYTES, space.sizeBytes * LAST_SHARE)) return ''
  return `the vault has only ${formatBytes(space.freeBytes)} free`
}
