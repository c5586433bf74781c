import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cheapestSets } from '../../../../../controller/placement/solver/cheapest-sets.ts'

const SEED = 20_261_128

test(`every set comes once, the cheapest first (seed ${SEED})`, () => {
  const lists = fc.array(fc.nat({ max: 20 }), { maxLength: 8 }).map(costs => costs.sort((a, b) => a - b))
  fc.assert(
    fc.property(lists, fc.integer({ min: 0, max: 4 }), (costs, largest) => {
      const found = Array.from(cheapestSets(costs, largest), ({ members, cost }) => ({
        key: members.join(),
        cost,
      }))
      assert.deepEqual(
        found.map(each => each.cost),
        found.map(each => each.cost).sort((a, b) => a - b),
      )
      assert.deepEqual(
        found.map(each => each.key).sort(),
        subsets(costs.length, largest)
          .map(set => set.join())
          .sort(),
      )
      for (const { key, cost } of found) {
        const sum = key.split(',').reduce((so, index) => so + (costs[Number(index)] ?? 0), 0)
        assert.equal(cost, sum)
      }
    }),
    { seed: SEED },
  )
})

test('of sets that cost the same the smaller one comes first, then the one with the earlier members', () => {
  const found = Array.from(cheapestSets([2, 3, 4, 5], 3), ({ members, cost }) => `${cost}: ${members}`)
  assert.deepEqual(found.slice(3, 8), ['5: 3', '5: 0,1', '6: 0,2', '7: 0,3', '7: 1,2'])
})

test('sets that would not fit into a number are refused, not confused', () => {
  assert.throws(() => cheapestSets([1, 2, 3, 4, 5], 5).next(), { code: 'internal' })
  assert.throws(() => cheapestSets(new Array<number>(1_001).fill(1), 2).next(), { code: 'internal' })
})

function subsets(count: number, largest: number): number[][] {
  const all: number[][] = []
  for (let mask = 1; mask < 1 << count; mask++) {
    const set = Array.from({ length: count }, (_, index) => index).filter(index => (mask >> index) & 1)
    if (set.length <= largest) all.push(set)
  }
  return all
}
