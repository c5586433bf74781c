import fs from 'node:fs'
import { promisify } from 'node:util'
import { LifeboatError } from '../../../shared/errors.ts'

// Callbacks, not node:fs/promises: a file handle and its bookkeeping cost as much as the three calls themselves, and a
// first night makes a quarter of a million of them for each 100 GB.
const access = promisify(fs.access)
const readFile = promisify(fs.readFile)
const writeFile = promisify(fs.writeFile)
const rename = promisify(fs.rename)
const open = promisify(fs.open)
const read = promisify(fs.read)
const close = promisify(fs.close)

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

/** The bytes of a file, in `memory` when they fit in there; undefined when there is none. */
export async function readIfThere(path: string, memory?: Buffer): Promise<Buffer | undefined> {
  try {
    return (memory && (await readInto(path, memory))) ?? (await readFile(path))
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return undefined
    throw fileError(`cannot read ${path}`, error)
  }
}

/** Undefined when the file is as long as the memory, or longer. */
async function readInto(path: string, memory: Buffer): Promise<Buffer | undefined> {
  const file = await open(path, 'r')
  try {
    // A short read is the end of a file that nobody writes to.
    const { bytesRead } = await read(file, memory, 0, memory.length, 0)
    return bytesRead < memory.length ? memory.subarray(0, bytesRead) : undefined
  } finally {
    await close(file)
  }
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
