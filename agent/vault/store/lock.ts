import Database from 'better-sqlite3'
import { LifeboatError } from '../../../shared/errors.ts'

/**
 * One writer at a time: collection trusts the claims it has in memory. The lock is an exclusive transaction nobody ever
 * ends, since the kernel drops that when its process dies; a file with a pid in it would outlive a SIGKILL.
 * Throws `busy`.
 */
export function lockVault(path: string): { release(): void } {
  let db: Database.Database | undefined
  try {
    db = new Database(path, { timeout: 0 })
    // No journal on disk: a vault that is full to the last byte must open, to be pruned.
    db.pragma('journal_mode = MEMORY')
    db.exec('BEGIN EXCLUSIVE')
    const held = db
    return { release: () => held.close() }
  } catch (error) {
    db?.close()
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')) {
      throw new LifeboatError(
        'busy',
        'another process writes to this vault (lifeboat-vault.service?): use its commands, or stop it first',
        { cause: error },
      )
    }
    throw new LifeboatError('unavailable', `cannot lock ${path}`, { cause: error })
  }
}
