import { close, open, read, readdir, readFile } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LifeboatError } from '../../shared/errors.ts'
import type { HostFiles } from './host-files.ts'

// Callback functions made into promises: a FileHandle for every read of every probe costs three times as much.
const openFile = promisify(open)
const readAt = promisify(read)
const readWhole = promisify(readFile)
const listNames = promisify(readdir)

/** sysfs answers with at most one page. */
const PAGE_BYTES = 4096
/** A blade has some dozens of files worth watching; a probe gone astray must not use up the agent's descriptors. */
const OPEN_LIMIT = 256

/**
 * The real /proc and /sys below `root` ('/' on a blade, a captured tree in tests).
 *
 * Never the synchronous calls, though they would be cheapest: reading an attribute of a sick disk can hang in the
 * kernel, and must hang one thread of the pool, not the agent. Files of /sys are kept open and read again from their
 * start, which makes the kernel write them anew: one call of the pool in place of five, for ever, every few seconds.
 */
export function createHostFiles(root = '/'): HostFiles {
  const sysfs = root === '/' ? createSysfsReader() : undefined
  return {
    async read(path) {
      try {
        if (sysfs !== undefined && path.startsWith('/sys/')) return await sysfs(path)
        return await readWhole(join(root, path), 'utf8')
      } catch (error) {
        throw readFailure(path, error as NodeJS.ErrnoException)
      }
    },
    async list(path) {
      try {
        return (await listNames(join(root, path))).sort()
      } catch (error) {
        if (isAbsent(error as NodeJS.ErrnoException)) return []
        throw readFailure(path, error as NodeJS.ErrnoException)
      }
    },
  }
}

function createSysfsReader(): (path: string) => Promise<string> {
  const descriptors = new Map<string, number>()
  const forget = (path: string, descriptor: number) => {
    if (descriptors.get(path) === descriptor) descriptors.delete(path)
    // A failing close of a file that is gone changes nothing.
    close(descriptor, () => {})
  }
  const readOnce = async (descriptor: number): Promise<string> => {
    const { buffer, bytesRead } = await readAt(descriptor, Buffer.allocUnsafe(PAGE_BYTES), 0, PAGE_BYTES, 0)
    return buffer.toString('utf8', 0, bytesRead)
  }
  const readFresh = async (path: string): Promise<string> => {
    const descriptor = await openFile(path, 'r')
    try {
      const text = await readOnce(descriptor)
      if (descriptors.size < OPEN_LIMIT && !descriptors.has(path)) descriptors.set(path, descriptor)
      else forget(path, descriptor)
      return text
    } catch (error) {
      forget(path, descriptor)
      throw error
    }
  }
  return async path => {
    const descriptor = descriptors.get(path)
    if (descriptor === undefined) return await readFresh(path)
    try {
      return await readOnce(descriptor)
    } catch {
      // ENODEV: its device has gone. Another may be at the path by now, so the answer is that of a new look.
      forget(path, descriptor)
      return await readFresh(path)
    }
  }
}

const isAbsent = (error: NodeJS.ErrnoException) =>
  error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ENODEV'

function readFailure(path: string, error: NodeJS.ErrnoException): LifeboatError {
  if (isAbsent(error)) return new LifeboatError('not-found', `${path} does not exist`, { cause: error })
  return new LifeboatError('unavailable', `${path} cannot be read (${error.code})`, { cause: error })
}
