import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BackupHistory, nextBackupAt } from '../../../../agent/backup/due.ts'
import { jitterOf, parseCron } from '../../../../shared/cron.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../shared/domain/units.ts'

// A place with summer time; before the first date is made.
process.env.TZ = 'Europe/Vienna'

const ID = '22222222-2222-4222-8222-222222222222'
const NIGHTLY = parseCron('0 2 * * *')
/** Local times, as the schedule is. */
const at = (day: number, hour: number, minute = 0): number => new Date(2026, 10, day, hour, minute).getTime()

const OLD: BackupHistory = { knownSince: at(1, 0), lastAttemptAt: 0, lastSuccessAt: 0, failures: 0 }

function next(history: Partial<BackupHistory>, now: number, jitterMs = 0): number {
  return nextBackupAt({ id: ID, cron: NIGHTLY, jitterMs, history: { ...OLD, ...history } }, now)
}

test('a VM that was backed up tonight is due tomorrow', () => {
  assert.equal(next({ lastSuccessAt: at(10, 2, 1) }, at(10, 9)), at(11, 2))
})

test('its moment has come: it is due now', () => {
  assert.equal(next({ lastSuccessAt: at(9, 2) }, at(10, 2)), at(10, 2))
})

test('each VM has a moment of its own behind the hour, the same each night', () => {
  const own = jitterOf(ID, HOUR_MS)
  assert.ok(own > 0 && own < HOUR_MS)
  assert.equal(next({ lastSuccessAt: at(9, 2, 59) }, at(10, 2), HOUR_MS), at(10, 2) + own)
  assert.equal(next({ lastSuccessAt: at(9, 2, 59) }, at(10, 12), HOUR_MS), at(10, 2) + own)
})

test('a week of missed nights is one backup, not seven', () => {
  const now = at(20, 9)
  assert.equal(next({ lastSuccessAt: at(13, 2) }, now), at(20, 2))
  assert.equal(next({ lastSuccessAt: now + MINUTE_MS }, now + HOUR_MS), at(21, 2))
})

test('a backup by hand before the hour serves no night, one behind it serves this night', () => {
  assert.equal(next({ lastSuccessAt: at(10, 1, 59) }, at(10, 2, 30), HOUR_MS * 2) > at(10, 2), true)
  assert.equal(next({ lastSuccessAt: at(10, 1, 59) }, at(10, 5)), at(10, 2))
  assert.equal(next({ lastSuccessAt: at(10, 2) }, at(10, 5)), at(11, 2))
})

test('a VM that came in the afternoon waits for its night: its old blade had the last one', () => {
  assert.equal(next({ knownSince: at(10, 15) }, at(10, 15, 1)), at(11, 2))
})

test('a VM that came at night before its own moment is backed up here', () => {
  const own = jitterOf(ID, HOUR_MS)
  assert.equal(next({ knownSince: at(10, 2) + own - MINUTE_MS }, at(10, 5), HOUR_MS), at(10, 2) + own)
})

test('after failures it is tried again ever more rarely, and never given up', () => {
  const failedAt = at(10, 2, 5)
  const waits = [1, 2, 3, 4, 5, 50].map(failures => {
    const retry = next({ lastSuccessAt: at(9, 2), lastAttemptAt: failedAt, failures }, failedAt)
    return (retry - failedAt) / MINUTE_MS
  })
  assert.deepEqual(waits, [10, 30, 90, 240, 240, 240])
})

test('a night without two o clock, in spring, is not left out', () => {
  const noon = new Date(2026, 2, 29, 12).getTime()
  const due = next({ knownSince: 0, lastSuccessAt: new Date(2026, 2, 28, 2).getTime() }, noon)
  assert.equal(due, new Date(2026, 2, 29, 3).getTime())
})

test('a clock that was a month ahead keeps no VM from its nights once it is set right', () => {
  const ahead = at(10, 2) + 30 * 24 * HOUR_MS
  const now = at(10, 3)
  for (const history of [
    { knownSince: ahead },
    { lastSuccessAt: ahead },
    { lastSuccessAt: at(9, 2), lastAttemptAt: ahead, failures: 1 },
  ]) {
    assert.equal(next(history, now), at(10, 2), JSON.stringify(history))
  }
  // Set back by a second only, the night that was made counts.
  assert.equal(next({ lastSuccessAt: now + 1000 }, now), at(11, 2))
})
