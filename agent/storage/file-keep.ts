import { rename, rm } from 'node:fs/promises'
import { posix } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'
import { existingFile, failed, lstatOf, readMarker, syncDirectory } from './file-marks.ts'
import { keptFilePath, moveOfKeptFile } from './kept-names.ts'

/** One rename is the whole act: the new name says kept and of which move, so no crash can come between. */
export async function keepFile(path: string, moveId: string): Promise<string> {
  const target = keptFilePath(path, moveId)
  if ((await lstatOf(target)) !== undefined) return target
  await existingFile(path)
  const owner = await readMarker(path)
  if (owner !== undefined) throw new LifeboatError('refused', `${path} is still arriving by move ${owner}`)
  await rename(path, target).catch(failed('unavailable', `failed to rename ${path}`))
  await syncDirectory(posix.dirname(path))
  return target
}

/** Undo of keepFile. */
export async function unkeepFile(path: string, moveId: string): Promise<void> {
  const keptPath = keptFilePath(path, moveId)
  const isKept = (await lstatOf(keptPath)) !== undefined
  if (!isKept) {
    await existingFile(path)
    return
  }
  if ((await lstatOf(path)) !== undefined) {
    throw new LifeboatError('already-exists', `another file is at ${path}: ${keptPath} stays kept`)
  }
  await rename(keptPath, path).catch(failed('unavailable', `failed to rename ${keptPath}`))
  await syncDirectory(posix.dirname(path))
}

/** Removes a kept file; refuses any other. */
export async function dropFile(path: string): Promise<void> {
  const stat = await lstatOf(path)
  if (stat === undefined) return
  if (!stat.isFile() || moveOfKeptFile(path) === undefined) {
    throw new LifeboatError('refused', `${path} is not named as kept after a move`)
  }
  await rm(path).catch(failed('unavailable', `failed to remove ${path}`))
}
