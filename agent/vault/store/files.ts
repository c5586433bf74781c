import fs from 'node:fs'
import { promisify } from 'node:util'
import { LifeboatError } from '../../../shared/errors.ts'

// Callbacks, not node:fs/promises: a file handle and its bookkeeping cost as much as the three calls themselves, and a
// first night makes a quarter of a million of them for each 100 GB.
const access = promisify(fs.access)
const writeFile = promisify(fs.writeFile)
const rename = promisify(fs.rename)
const open = promisify(fs.open)
const read = promisify(fs.read)

/** What went wrong with a file, as one of ours; a full file system is `refused`, a missing file `not-found`. */
export function fileError(what: string, error: unknown): LifeboatError {
  const code = fileErrorCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new LifeboatError('refused', `${what}: the file system of the vault is full`, { cause: error })
  }
  if (code === 'ENOENT') return new LifeboatError('not-found', `${what}: it is not there`, { cause: error })
  return new LifeboatError('unavailable', `${what}: its file system answers with ${code}`, { cause: error })
}

/** ENOENT, ENOSPC, …; '' for what is no error of a file. */
export function fileErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Throws `unavailable` when even that cannot be told. */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return false
    throw fileError(`cannot look for ${path}`, error)
  }
}

/** The bytes of a file, in the memory that `roomFor` so many bytes gives; undefined when there is none. */
export async function readIfThere(
  path: string,
  roomFor: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
): Promise<Buffer | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      // Length and end of an open file are in memory: a trip through the thread pool would cost more than they do.
      return await readAll(file, roomFor(fs.fstatSync(file).size))
    } finally {
      fs.closeSync(file)
    }
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return undefined
    throw fileError(`cannot read ${path}`, error)
  }
}

/** Less than there is room for when the file has become shorter. */
async function readAll(file: number, room: Buffer): Promise<Buffer> {
  for (let filled = 0; filled < room.length; ) {
    const { bytesRead } = await read(file, room, filled, room.length - filled, filled)
    if (bytesRead === 0) return room.subarray(0, filled)
    filled += bytesRead
  }
  return room
}

/** Not durable by itself. */
export async function writeWhole(path: string, bytes: Buffer | string, mode: number): Promise<void> {
  try {
    await writeFile(path, bytes, { mode })
  } catch (error) {
    throw fileError(`cannot write ${path}`, error)
  }
}

/** Renames; false when `from` is not there. */
export async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return false
    throw fileError(`cannot rename ${from}`, error)
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const directory = fs.openSync(path, 'r')
  try {
    fs.fsyncSync(directory)
  } finally {
    fs.closeSync(directory)
  }
}

/** The names in a directory; none when there is no such directory. */
export function namesIn(path: string): readonly string[] {
  try {
    return fs.readdirSync(path)
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return []
    throw fileError(`cannot list ${path}`, error)
  }
}
