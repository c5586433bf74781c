import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCron, jitterOf, nextAfter, parseCron } from '../../../shared/cron.ts'
import { MINUTE_MS } from '../../../shared/domain/units.ts'

/** Local time, as the schedules go by it. Months from 1. */
const at = (year: number, month: number, day: number, hour = 0, minute = 0) =>
  new Date(year, month - 1, day, hour, minute).getTime()
const SATURDAY = at(2026, 11, 28, 9, 36)

const CASES = [
  { text: '0 2 * * *', next: at(2026, 11, 29, 2) },
  { text: '36 9 * * *', next: at(2026, 11, 29, 9, 36), why: 'after means after' },
  { text: '37 9 * * *', next: at(2026, 11, 28, 9, 37) },
  { text: '*/20 * * * *', next: at(2026, 11, 28, 9, 40) },
  { text: '0 */6 * * *', next: at(2026, 11, 28, 12) },
  { text: '0 22-23,4 * * *', next: at(2026, 11, 28, 22) },
  { text: '5-59/25 10 * * *', next: at(2026, 11, 28, 10, 5) },
  { text: '0 2 * jan mon', next: at(2027, 1, 4, 2) },
  { text: '0 2 * * 1', next: at(2026, 11, 30, 2) },
  { text: '0 2 * * 7', next: at(2026, 11, 29, 2), why: '7 is Sunday too' },
  { text: '0 2 1 * *', next: at(2026, 12, 1, 2) },
  { text: '0 2 1 * 0', next: at(2026, 11, 29, 2), why: 'one of two restricted days is enough' },
  { text: '0 0 29 2 *', next: at(2028, 2, 29), why: 'only in a leap year' },
]

for (const { text, next, why } of CASES) {
  test(`${text}${why === undefined ? '' : `: ${why}`}`, () => {
    assert.equal(nextAfter(parseCron(text), SATURDAY), next)
  })
}

test('what is no schedule is refused with what a field may be', () => {
  for (const text of [
    '',
    '* * * *',
    '60 2 * * *',
    '0 24 * * *',
    '0 2 0 * *',
    '0 2 * 13 *',
    '*/0 * * * *',
    '0 0 31 2 *',
    '0 0 L * *',
    '0 0 * * 1#2',
    '@daily',
  ]) {
    assert.equal(isCron(text), false, text)
  }
  assert.throws(() => parseCron('0 24 * * *'), /'0 24 \* \* \*' is not a schedule/)
})

test('each VM has its own moment, always the same, within the jitter', () => {
  const jitterMs = 30 * MINUTE_MS
  const names = Array.from({ length: 40 }, (_, index) => `vm-${index}`)
  const moments = names.map(name => jitterOf(name, jitterMs))
  assert.deepEqual(
    moments,
    names.map(name => jitterOf(name, jitterMs)),
  )
  assert.ok(moments.every(moment => moment >= 0 && moment < jitterMs))
  assert.ok(new Set(moments).size > 15, 'they are spread')
  assert.equal(jitterOf('vm-1', 0), 0)
})
