import { dirname } from 'node:path'
import { type ErrorCode, LifeboatError } from '../../../shared/errors.ts'
import { fileErrorCode } from '../store/files.ts'

/** Of the operating system; Node's own (ERR_…) are defects of ours. */
const SYSTEM_CODE = /^E[A-Z0-9]+$/

/** What a system call says, as a person would, and the next command. */
const WORDS: Readonly<Record<string, readonly [ErrorCode, (path: string) => string]>> = {
  ENOENT: ['not-found', path => `it is not there, or its directory is not: ls -l ${dirname(path)}`],
  ENOTDIR: ['not-found', path => `a part of its path is no directory: ls -ld ${dirname(path)}`],
  EISDIR: ['bad-input', () => 'it is a directory: give a file'],
  EACCES: ['unavailable', path => `this user may not: run it as root, or see ls -ld ${path}`],
  EPERM: ['unavailable', path => `this user may not: run it as root, or see ls -ld ${path}`],
  EROFS: ['unavailable', path => `its file system is read-only: findmnt --target ${dirname(path)}`],
  ENOSPC: ['refused', path => `its file system is full: df -h ${dirname(path)}`],
  EDQUOT: ['refused', path => `its file system is full: df -h ${dirname(path)}`],
}

/**
 * A failure of the file a command works on, as a person reads it: what, cause, next command, and not the text of a system
 * call. One that has its words already stays as it is, and so does a defect.
 */
export function fileTrouble(what: string, path: string, error: unknown): unknown {
  const code = fileErrorCode(error)
  if (error instanceof LifeboatError || !SYSTEM_CODE.test(code)) return error
  const [ownCode, words] = WORDS[code] ?? ['unavailable', () => `${code}: dmesg may tell more`]
  return new LifeboatError(ownCode, `${what}: ${words(path)}`)
}
