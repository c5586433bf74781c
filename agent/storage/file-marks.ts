import { lstat, open, readFile, rename } from 'node:fs/promises'
import { posix } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'

/** Beside an image made for a move and not adopted yet; holds the id of the move. libvirt needs the image's own name. */
export const markerOf = (path: string): string => `${path}.lifeboat-move`

/** Undefined when there is no such file. Throws `unavailable`. */
export async function lstatOf(path: string) {
  return await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new LifeboatError('unavailable', `failed to look at ${path}`, { cause: error })
  })
}

/** Throws `not-found`. */
export async function existingFile(path: string) {
  const stat = await lstatOf(path)
  if (stat === undefined) throw new LifeboatError('not-found', `there is no file ${path}`)
  return stat
}

/** The move an image is arriving by; undefined when it bears no mark. Throws `unavailable`. */
export async function readMarker(path: string): Promise<string | undefined> {
  return await readFile(markerOf(path), 'utf8').then(
    text => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw new LifeboatError('unavailable', `failed to read the mark of ${path}`, { cause: error })
    },
  )
}

/** Durable when it returns. Whole or not there: an empty mark after a power cut would belong to no move and block the path for ever. */
export async function writeMarker(path: string, moveId: string): Promise<void> {
  const draft = `${markerOf(path)}.new`
  const handle = await open(draft, 'w', 0o600).catch(failed('unavailable', `failed to mark ${path}`))
  try {
    await handle.writeFile(`${moveId}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, markerOf(path)).catch(failed('unavailable', `failed to mark ${path}`))
  await syncDirectory(posix.dirname(path))
}

/** Makes names made, changed or removed in a directory durable. Throws `unavailable`. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(failed('unavailable', `failed to open ${directory}`))
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Rethrows whatever a file system call threw as an error of ours. */
export const failed = (code: 'unavailable' | 'already-exists', message: string) => (cause: unknown) => {
  throw new LifeboatError(code, message, { cause })
}
