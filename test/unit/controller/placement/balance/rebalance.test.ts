import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  planRebalance,
  type RebalanceRequest,
} from '../../../../../controller/placement/balance/rebalance.ts'
import { HOUR_MS } from '../../../../../shared/domain/units.ts'
import { type FleetSketch, fleet, NIGHT, type VmSketch } from '../../../../fakes/fleet-builder.ts'

const REQUEST: RebalanceRequest = {
  id: 'p1',
  now: NIGHT,
  movedAt: new Map(),
  cooldownMs: 24 * HOUR_MS,
  requestedBy: 'anna',
}
const blades = (...memory: readonly number[]) =>
  memory.map((memoryGib, index) => ({ name: `blade0${index + 1}`, memoryGib }))
const vm = (name: string, blade: number, memoryGib: number, rest: Partial<VmSketch> = {}): VmSketch => ({
  name,
  blade: `blade0${blade}`,
  memoryGib,
  ...rest,
})
const rebalance = (sketch: FleetSketch, rest: Partial<RebalanceRequest> = {}) =>
  planRebalance(fleet(sketch), { ...REQUEST, ...rest })
const moves = ({ plan }: ReturnType<typeof rebalance>) =>
  plan.moves.map(move => `${move.vm} ${move.from} → ${move.to}`)

/** big fits beside nobody: one of the other blades must become empty enough, and one move does it. */
const LOST: FleetSketch = {
  blades: blades(32, 32, 32),
  vms: [vm('big', 1, 24), vm('a', 2, 8), vm('b', 2, 4), vm('c', 3, 10), vm('d', 3, 8)],
}

test('one move restores N+1, the cheapest that does', () => {
  const answer = rebalance(LOST)
  assert.equal(answer.before.kept, false)
  assert.deepEqual(moves(answer), ['b blade02 → blade03'])
  assert.equal(answer.plan.nPlusOne.kept, true)
  assert.deepEqual(
    answer.plan.moves.map(move => move.role),
    ['balances'],
  )
  assert.match(answer.text, /^1 move of 24 GiB in about .*: afterwards any one blade may fail$/)
})

test('a VM that was moved lately is left alone, and another way is found', () => {
  const answer = rebalance(LOST, { movedAt: new Map([['id-b', NIGHT - 20 * HOUR_MS]]) })
  assert.deepEqual(answer.leftAlone, ['b was moved lately and is left alone for 4 h more'])
  assert.deepEqual(moves(answer), ['a blade02 → blade03'])
  const later = rebalance(LOST, { movedAt: new Map([['id-b', NIGHT - 25 * HOUR_MS]]) })
  assert.deepEqual([moves(later), later.leftAlone], [['b blade02 → blade03'], []])
})

test('the fullest blade is relieved by few moves, not evened out to the last GiB', () => {
  const answer = rebalance({
    blades: blades(64, 64, 64),
    vms: [vm('a', 1, 20), vm('b', 1, 16), vm('c', 1, 12), vm('d', 2, 26), vm('e', 3, 2)],
  })
  assert.deepEqual(moves(answer), ['a blade01 → blade03'])
  assert.deepEqual(
    [answer.highestLoadBefore, answer.highestLoadAfter].map(share => Math.round(share * 64)),
    [48, 28],
  )
  assert.match(answer.text, /: the fullest blade goes from 75 % to 44 % of its memory$/)
})

test('an even fleet is left as it is', () => {
  const answer = rebalance({
    blades: blades(64, 64, 64),
    vms: [vm('a', 1, 16), vm('b', 2, 14), vm('c', 3, 12)],
  })
  assert.deepEqual(moves(answer), [])
  assert.equal(
    answer.text,
    'nothing is worth a move: any one blade may fail, and the fullest one uses 25 % of its memory',
  )
})

test('no move is made that would cost the N+1 for an even load', () => {
  // The hole of 30 GiB on blade02 is where w comes back, should blade03 die.
  const sketch = (w: number) => ({
    blades: blades(50, 40, 40),
    vms: [vm('a', 1, 10), vm('b', 1, 10), vm('c', 1, 20), vm('z', 2, 10), vm('w', 3, w)],
  })
  assert.deepEqual(moves(rebalance(sketch(28))), [])
  assert.deepEqual(moves(rebalance(sketch(18))), ['a blade01 → blade02'])
})

test('where no move helps it says so and moves nothing', () => {
  const full = Array.from({ length: 12 }, (_, index) => vm(`vm${index}`, Math.floor(index / 4) + 1, 2))
  const answer = rebalance({ blades: blades(64, 64, 64), vms: full })
  assert.deepEqual(moves(answer), [])
  assert.match(answer.text, /^no move helps: a failure would leave VMs without a place: blade01/)
})

test('what may not or cannot move stays', () => {
  const answer = rebalance({
    blades: blades(64, 64),
    vms: [
      vm('busy', 1, 16, { operation: 'o1' }),
      vm('paused', 1, 16, { state: 'paused' }),
      vm('tied', 1, 16, { obstacles: [{ code: 'host-cdrom', text: 'a CD-ROM' }] }),
    ],
  })
  assert.deepEqual(moves(answer), [])
})
