import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openDatabase } from '../../../shared/sqlite.ts'

const dir = mkdtempSync(join(tmpdir(), 'lifeboat-sqlite-'))
after(() => rmSync(dir, { recursive: true }))

const FIRST = { version: 1, name: 'blades', sql: 'CREATE TABLE blades (name TEXT PRIMARY KEY) STRICT' }
const SECOND = { version: 2, name: 'slots', sql: 'ALTER TABLE blades ADD COLUMN slot INTEGER' }

test('a new database gets every migration, an old one only what it lacks, and its rows stay', () => {
  const path = join(dir, 'deep', 'er', 'a.sqlite')
  const old = openDatabase(path, [FIRST])
  old.exec("INSERT INTO blades VALUES ('blade01')")
  old.close()
  const db = openDatabase(path, [FIRST, SECOND])
  assert.deepEqual(db.prepare('SELECT * FROM blades').all(), [{ name: 'blade01', slot: null }])
  db.close()
})

test('every commit is on disk when it returns: WAL with synchronous FULL', () => {
  const db = openDatabase(join(dir, 'b.sqlite'), [FIRST])
  assert.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  assert.equal(db.pragma('synchronous', { simple: true }), 2)
  assert.equal(db.pragma('foreign_keys', { simple: true }), 1)
  db.close()
})

test('a database of a newer Lifeboat is refused with what to do', () => {
  const path = join(dir, 'c.sqlite')
  openDatabase(path, [FIRST, SECOND]).close()
  assert.throws(() => openDatabase(path, [FIRST]), {
    code: 'version-mismatch',
    message: /has schema 2, this Lifeboat knows up to 1: install the version that wrote it/,
  })
})

test('a migration that fails leaves the old schema as it was', () => {
  const path = join(dir, 'd.sqlite')
  const broken = { version: 2, name: 'broken', sql: 'CREATE TABLE half (a) STRICT; nonsense' }
  openDatabase(path, [FIRST]).close()
  assert.throws(() => openDatabase(path, [FIRST, broken]), {
    code: 'unavailable',
    message: /schema 2 \(broken\)/,
  })
  const db = openDatabase(path, [FIRST])
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  assert.deepEqual(tables, ['blades'])
  db.close()
})

test('a file that is no database is one clear error', () => {
  const path = join(dir, 'e.sqlite')
  writeFileSync(path, 'this is not a database, but it is long enough to be read as a header'.repeat(20))
  assert.throws(() => openDatabase(path, [FIRST]), {
    code: 'unavailable',
    message: /cannot open the database/,
  })
})

test('misnumbered migrations are a defect found at once', () => {
  assert.throws(() => openDatabase(':memory:', [SECOND]), { code: 'internal' })
})
