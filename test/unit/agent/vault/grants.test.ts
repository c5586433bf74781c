import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type GrantBook, openGrantBook } from '../../../../agent/vault/control/grants.ts'
import { createManualClock, type ManualClock } from '../../../fakes/manual-clock.ts'

const HOUR = 3_600_000
const REF = { vmId: '5d1f3a60-1111-4a4a-8a8a-000000000001', point: '20261128T020512Z' }
let dir: string
let clock: ManualClock
let damaged: unknown[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lbg-'))
  clock = createManualClock()
  damaged = []
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const path = () => join(dir, 'service', 'grants.json')
const open = (): GrantBook => openGrantBook(path(), clock, error => damaged.push(error))
const grant = (blade: string, hours: number) => ({
  ...REF,
  blade,
  operation: 'o7',
  expiresAt: clock.now() + hours * HOUR,
})

test('a grant is for one blade and one restore point, until it ends', async () => {
  const book = open()
  book.add(grant('blade02', 1))
  assert.equal(book.holds('blade02', REF), true)
  assert.equal(book.holds('blade03', REF), false)
  assert.equal(book.holds('blade02', { ...REF, point: '20261127T020512Z' }), false)
  assert.match(book.grantOf(REF), /^granted to blade02 until \d{4}-\d\d-\d\dT\d\d:\d\dZ$/)
  assert.equal(book.grantOf({ ...REF, point: '20261127T020512Z' }), '')
  await clock.advance(HOUR)
  assert.equal(book.holds('blade02', REF), false)
  assert.equal(book.grantOf(REF), '')
})

test('grants outlive the process, as the restores they are for do; nobody else reads the file', () => {
  open().add(grant('blade02', 1))
  assert.equal(open().holds('blade02', REF), true)
  assert.equal(statSync(path()).mode & 0o777, 0o600)
})

test('a repeated grant lengthens and never shortens; what is over is forgotten', async () => {
  const book = open()
  book.add(grant('blade02', 4))
  book.add(grant('blade02', 1))
  await clock.advance(2 * HOUR)
  assert.equal(book.holds('blade02', REF), true)
  await clock.advance(3 * HOUR)
  book.add(grant('blade03', 1))
  assert.equal(open().holds('blade02', REF), false)
})

test('a grant that would be over already says that a clock is wrong', () => {
  assert.throws(() => open().add(grant('blade02', 0)), { code: 'bad-input', message: /clock/ })
  assert.throws(() => open().add(grant('', 1)), { code: 'bad-input' })
})

test('a damaged file is told and void: the vault starts without grants', () => {
  open().add(grant('blade02', 1))
  writeFileSync(path(), '{"half')
  assert.equal(open().holds('blade02', REF), false)
  assert.equal(damaged.length, 1)
  open().add(grant('blade03', 1))
  assert.equal(open().holds('blade03', REF), true)
})
