import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFleetState } from '../../../../controller/fleet/fleet-state.ts'
import { measuredRates } from '../../../../controller/fleet/measured-rates.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { DEFAULT_RATES, rateOf } from '../../../../controller/placement/times.ts'
import { EMPTY_OPERATION, type OperationRecord } from '../../../../controller/store/operations.ts'
import { openStore } from '../../../../controller/store/store.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { silentLogger } from '../../../../shared/log.ts'

const SIZE = 1000 * MIB

/** A move whose copy began and ended at those seconds. */
function move(
  from: string,
  to: string,
  seconds: readonly [number, number],
  rest: Partial<OperationRecord> = {},
) {
  const [startedAt, endedAt] = seconds.map(second => 1_000_000 + second * 1000) as [number, number]
  const step = { name: 'send', state: 'done' as const, startedAt, endedAt, error: '' }
  return {
    ...EMPTY_OPERATION,
    from,
    to,
    method: 'live',
    doneBytes: SIZE,
    steps: [step],
    startedAt: startedAt - 1000,
    endedAt: endedAt + 500,
    downtimeMs: 80,
    ...rest,
  }
}
const rates = (moves: readonly OperationRecord[]) => measuredRates({ moves, restores: [] })
const perSecond = (seconds: number) => Math.round(SIZE / seconds)

test('while nothing was measured, what is assumed stays; two copies may be accidents', () => {
  assert.deepEqual(rates([]), DEFAULT_RATES)
  const two = [move('a', 'b', [0, 10]), move('a', 'b', [20, 30])]
  assert.deepEqual(rates(two), DEFAULT_RATES)
})

test('the median counts, by link, then by source, then of the fleet', () => {
  const found = rates([
    ...[10, 20, 100].map((took, index) => move('a', 'b', [index * 1000, index * 1000 + took])),
    ...[40, 50].map((took, index) => move('a', 'c', [5000 + index * 1000, 5000 + index * 1000 + took])),
  ])
  assert.equal(rateOf(found, 'a', 'b'), perSecond(20))
  assert.equal(rateOf(found, 'a', 'c'), perSecond(40), 'two over that link, five from that blade')
  assert.equal(rateOf(found, 'x', 'b'), perSecond(40), 'the fleet')
  assert.deepEqual([found.liveDowntimeMs, found.overheadMs], [80, 1500])
})

test('of many, only the newest count', () => {
  const newest = Array.from({ length: 20 }, (_, index) =>
    move('a', 'b', [9000 - index * 100, 9010 - index * 100]),
  )
  const old = Array.from({ length: 30 }, (_, index) => move('a', 'b', [index * 100, index * 100 + 90]))
  assert.equal(rates([...newest, ...old]).copyBytesPerSecond, perSecond(10))
})

test('a copy that shared a blade would have been faster alone', () => {
  // Two at a time from one blade: each took 20 s, and would have taken 10.
  const side = ['b', 'c', 'd', 'e'].map((to, index) => move('a', to, index < 2 ? [0, 20] : [50, 70]))
  assert.equal(rates(side).sources.a, perSecond(10))
  // Three onto one blade from three.
  const onto = ['p', 'q', 'r'].map(from => move(from, 'z', [0, 30]))
  assert.equal(rates(onto).copyBytesPerSecond, perSecond(10))
  // Half of its time beside another one.
  const half = [move('a', 'b', [0, 20]), move('a', 'c', [10, 30]), move('a', 'd', [100, 115])]
  assert.equal(rates(half).copyBytesPerSecond, perSecond(20 / 1.5))
})

test('small copies and unfinished ones say nothing of the link', () => {
  const small = [1, 2, 3].map(second => move('a', 'b', [second * 10, second * 10 + 5], { doneBytes: MIB }))
  assert.equal(rates(small).copyBytesPerSecond, DEFAULT_RATES.copyBytesPerSecond)
  const quick = [1, 2, 3].map(second => move('a', 'b', [second * 10, second * 10 + 0.5]))
  assert.equal(rates(quick).copyBytesPerSecond, DEFAULT_RATES.copyBytesPerSecond)
  const stepless = [1, 2, 3].map(second => move('a', 'b', [second, second + 9], { steps: [] }))
  assert.equal(rates(stepless).copyBytesPerSecond, DEFAULT_RATES.copyBytesPerSecond)
})

test('restores count by the volumes they wrote, until they were read back and not until the guest lived', () => {
  const restore = (at: number) => ({
    operation: { ...EMPTY_OPERATION, kind: 'boot-test' as const, to: 'a', totalBytes: SIZE },
    steps: ['check', 'create-volumes', 'write', 'define', 'boot'].map((name, index) => ({
      name,
      startedAt: at + index * 5000,
    })),
  })
  const restores = [0, 100_000, 200_000].map(restore)
  assert.equal(measuredRates({ moves: [], restores }).restoreBytesPerSecond, perSecond(15))
  const broken = restores.map(each => ({ ...each, steps: each.steps.slice(0, 2) }))
  assert.deepEqual(measuredRates({ moves: [], restores: broken }), DEFAULT_RATES)
})

test('a snapshot has the rates of what the store holds, also of a copy that ended a moment ago', () => {
  const store = openStore(':memory:')
  const limits = {
    maxVmsPerBlade: 4,
    rules: NO_RULES,
    liveness: { suspectAfterMs: 1e9, silentAfterMs: 1e10 },
  }
  const fleet = createFleetState({ store, log: silentLogger, limits })
  assert.deepEqual(fleet.snapshot(1).rates, DEFAULT_RATES)
  for (const [index, id] of ['o1', 'o2', 'o3'].entries()) {
    store.operations.add({ ...move('a', 'b', [index * 100, index * 100 + 10]), id, state: 'done' })
    store.operations.add({
      ...move('a', 'b', [index * 100, index * 100 + 90]),
      id: `${id}x`,
      state: 'undone',
    })
  }
  fleet.touch()
  assert.equal(fleet.snapshot(1).rates.copyBytesPerSecond, perSecond(10))
  store.close()
})
