import { readdir, readFile } from 'node:fs'
import { join } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'
import type { HostFiles } from './host-files.ts'

/**
 * The real /proc and /sys below `root` ('/' on a blade, a captured tree in tests). Callbacks below the promise: a
 * probe reads a dozen files every few seconds for ever, and a FileHandle for each costs three times as much.
 */
export function createHostFiles(root = '/'): HostFiles {
  return {
    read: path =>
      new Promise((resolve, reject) => {
        readFile(join(root, path), 'utf8', (error, text) => {
          if (error === null) resolve(text)
          else reject(readFailure(path, error))
        })
      }),
    list: path =>
      new Promise((resolve, reject) => {
        readdir(join(root, path), (error, names) => {
          if (error === null) resolve(names.sort())
          else if (isAbsent(error)) resolve([])
          else reject(readFailure(path, error))
        })
      }),
  }
}

const isAbsent = (error: NodeJS.ErrnoException) => error.code === 'ENOENT' || error.code === 'ENOTDIR'

function readFailure(path: string, error: NodeJS.ErrnoException): LifeboatError {
  if (isAbsent(error)) return new LifeboatError('not-found', `${path} does not exist`, { cause: error })
  return new LifeboatError('unavailable', `${path} cannot be read (${error.code})`, { cause: error })
}
