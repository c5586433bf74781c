import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

/**
 * Replaces a file as a whole: temporary name, fsync, rename, fsync of the directory. A power cut leaves the old file or
 * the new one, never half of a key. `mode` is that of the file whatever the umask; directories that are missing are
 * made with `directoryMode`.
 */
export function writeDurably(path: string, text: string, mode: number, directoryMode = 0o777): void {
  mkdirSync(dirname(path), { recursive: true, mode: directoryMode })
  const temporary = `${path}.new`
  // Made anew: what an earlier, killed attempt left might be open to more readers than `mode` says.
  rmSync(temporary, { force: true })
  const file = openSync(temporary, 'wx', mode)
  try {
    // Not writeSync: it may write less than all, on the last blocks of a disk, and says so only in its result.
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  chmodSync(temporary, mode)
  renameSync(temporary, path)
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
