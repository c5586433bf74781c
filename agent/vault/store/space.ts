import { statfs } from 'node:fs/promises'
import { formatBytes, MIB } from '../../../shared/domain/units.ts'
import { fileError } from './files.ts'

/** Of the file system the vault lies on. */
export interface Space {
  readonly sizeBytes: number
  /** What this user may still write. */
  readonly freeBytes: number
  /** Undefined where the file system makes room for them as it goes. */
  readonly files?: { readonly most: number; readonly free: number }
}

/** The vault's own records need a little, and file systems get slow on their last blocks. */
const LAST_BYTES = 64 * MIB
const LAST_SHARE = 0.01
/** A chunk is a file: as many as 5 GiB of new disk are. Less on a small file system: the reserve in files. */
const LEAST_FILES = 10_000

export async function readSpace(path: string): Promise<Space> {
  try {
    const { bsize, blocks, bavail, files, ffree } = await statfs(path)
    const room = { sizeBytes: blocks * bsize, freeBytes: bavail * bsize }
    return files === 0 ? room : { ...room, files: { most: files, free: ffree } }
  } catch (error) {
    throw fileError(`cannot tell the room of ${path}`, error)
  }
}

/** Why no new backup may begin; '' when it may. */
export function tooFull(space: Space, reservePercent: number): string {
  const { files } = space
  if (files !== undefined && files.free < Math.min(LEAST_FILES, (files.most * reservePercent) / 100)) {
    return `the file system of the vault has room for only ${files.free} more files, and each chunk is one (df -i): prune restore points, or give it another file system; no backup is taken until then`
  }
  const wanted = Math.ceil((space.sizeBytes * reservePercent) / 100)
  if (space.freeBytes >= wanted) return ''
  return `the vault has ${formatBytes(space.freeBytes)} of ${formatBytes(space.sizeBytes)} free and keeps ${formatBytes(wanted)} (${reservePercent} %): prune restore points or give it a larger disk; no backup is taken until then`
}

/** Why a backup that runs must end; '' while it may go on. It may use the reserve, but not the last of it. */
export function usedUp(space: Space): string {
  if (space.freeBytes >= Math.min(LAST_BYTES, space.sizeBytes * LAST_SHARE)) return ''
  return `the vault has only ${formatBytes(space.freeBytes)} free`
}
