import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Copy,
  DEFAULT_RATES,
  expectedEnds,
  linkName,
  type PlanRates,
  rateOf,
} from '../../../../controller/placement/times.ts'

const RATES: PlanRates = { ...DEFAULT_RATES, copyBytesPerSecond: 100, overheadMs: 0 }
const TWO = { concurrentPerSource: 2, concurrentPerTarget: 2 }
const ONE = { concurrentPerSource: 1, concurrentPerTarget: 1 }
const MANY = { concurrentPerSource: 99, concurrentPerTarget: 99 }

const copy = (from: string, to: string, bytes: number, ...needs: number[]): Copy => ({
  from,
  to,
  bytes,
  needs,
})

test('copies share the rate of the blade they leave, two at a time', () => {
  const copies = [copy('s', 't0', 100), copy('s', 't1', 300), copy('s', 't2', 100)]
  // Both halve the rate until the first ends at 2 s; the third joins and ends at 4 s; the second has the rest alone.
  assert.deepEqual(expectedEnds(copies, RATES, TWO), [2_000, 5_000, 4_000])
})

test('copies from two blades go side by side, and share the rate of a blade they both go to', () => {
  const apart = [copy('s1', 't1', 100), copy('s2', 't2', 200)]
  assert.deepEqual(expectedEnds(apart, RATES, ONE), [1_000, 2_000])
  const same = [copy('s1', 't', 100), copy('s2', 't', 200)]
  assert.deepEqual(expectedEnds(same, RATES, TWO), [2_000, 3_000])
})

test('the end with more copies slows a copy down', () => {
  // Three leave s1, of which one shares t with the one from s2.
  const copies = [copy('s1', 't', 100), copy('s1', 'u', 300), copy('s1', 'v', 300), copy('s2', 't', 200)]
  assert.deepEqual(expectedEnds(copies, RATES, MANY), [3_000, 7_000, 7_000, 3_500])
})

test('a target that is busy makes a copy wait, and never all of them', () => {
  const copies = [copy('s', 'same', 100), copy('s', 'same', 100)]
  assert.deepEqual(
    expectedEnds(copies, RATES, { concurrentPerSource: 2, concurrentPerTarget: 1 }),
    [1_000, 2_000],
  )
  assert.deepEqual(
    expectedEnds(copies, RATES, { concurrentPerSource: 0, concurrentPerTarget: 0 }),
    [1_000, 2_000],
  )
})

test('a copy waits for those it needs, wherever they stand in the list', () => {
  const copies = [copy('a', 'b', 100, 1), copy('b', 'c', 100, 2), copy('c', 'd', 100)]
  assert.deepEqual(expectedEnds(copies, RATES, MANY), [3_000, 2_000, 1_000])
})

test('needs that form a circle end all the same', () => {
  const copies = [copy('a', 'b', 100, 1), copy('b', 'a', 100, 0), copy('c', 'd', 100, 9)]
  assert.deepEqual(expectedEnds(copies, RATES, MANY), [2_000, 3_000, 1_000])
})

test('what was measured nearest to a link counts', () => {
  const rates = { ...RATES, sources: { s: 50 }, links: { [linkName('s', 't')]: 25 } }
  assert.deepEqual([rateOf(rates, 's', 't'), rateOf(rates, 's', 'u'), rateOf(rates, 'x', 't')], [25, 50, 100])
  const copies = [copy('s', 't', 100), copy('x', 'y', 100)]
  assert.deepEqual(expectedEnds(copies, rates, ONE), [4_000, 1_000])
})

test('what a move takes beside the copying is added', () => {
  assert.deepEqual(expectedEnds([copy('s', 't', 100)], { ...RATES, overheadMs: 500 }, ONE), [1_500])
  assert.deepEqual(expectedEnds([], RATES, ONE), [])
})

test('hundreds of copies end, each of them after those it needs', () => {
  const copies = Array.from({ length: 600 }, (_, index) =>
    copy(
      `s${index % 14}`,
      `t${(index * 7) % 90}`,
      1 + ((index * 37) % 1000),
      ...(index % 5 === 4 ? [index - 3] : []),
    ),
  )
  const ends = expectedEnds(copies, RATES, TWO)
  for (const [index, { needs }] of copies.entries())
    for (const need of needs) assert.ok((ends[need] ?? 0) < (ends[index] ?? 0))
  const bySource = copies.reduce((sum, { from, bytes }) => (from === 's0' ? sum + bytes : sum), 0)
  assert.ok(Math.max(...ends) >= bySource * 10, 'no blade sends more than its rate')
})
