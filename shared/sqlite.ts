import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { LifeboatError } from './errors.ts'

/** Numbered from 1 without a gap; a released one is never changed, only followed by another. */
export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

// A backup or an administrator's sqlite3 shell may hold the lock for a moment; the agent must not fail for that.
const BUSY_TIMEOUT_MS = 5000

/**
 * Opens (or makes) the database at `path` and brings its schema up to date.
 * Errors: `version-mismatch` when a newer Lifeboat wrote it, `unavailable` when it cannot be opened or migrated.
 */
export function openDatabase(path: string, migrations: readonly Migration[]): Database.Database {
  checkNumbering(migrations)
  let db: Database.Database
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    db = new Database(path)
    db.pragma('journal_mode = WAL')
    // FULL, because the saga journal promises that an intent is on disk before the act; NORMAL may lose the last
    // commits at a power cut, and a power cut is exactly what this product is about.
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  } catch (error) {
    throw new LifeboatError('unavailable', `cannot open the database ${path}`, { cause: error })
  }
  try {
    migrate(db, path, migrations)
  } catch (error) {
    db.close()
    throw error
  }
  return db
}

function migrate(db: Database.Database, path: string, migrations: readonly Migration[]): void {
  const present = db.pragma('user_version', { simple: true }) as number
  if (present > migrations.length) {
    throw new LifeboatError(
      'version-mismatch',
      `${path} has schema ${present}, this Lifeboat knows up to ${migrations.length}: install the version that wrote it, or a newer one`,
    )
  }
  for (const migration of migrations.slice(present)) {
    try {
      // user_version lies in the database header, so it is part of the same transaction: a crash leaves either
      // the old schema with the old number or the new one with the new.
      db.transaction(() => {
        db.exec(migration.sql)
        db.pragma(`user_version = ${migration.version}`)
      }).immediate()
    } catch (error) {
      throw new LifeboatError(
        'unavailable',
        `cannot bring ${path} to schema ${migration.version} (${migration.name})`,
        { cause: error },
      )
    }
  }
}

function checkNumbering(migrations: readonly Migration[]): void {
  for (const [index, migration] of migrations.entries()) {
    if (migration.version !== index + 1) {
      throw new LifeboatError(
        'internal',
        `migration '${migration.name}' has number ${migration.version}, its place is ${index + 1}`,
      )
    }
  }
}
