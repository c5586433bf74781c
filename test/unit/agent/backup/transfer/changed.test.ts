import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { chunkCount, planChanged } from '../../../../../agent/backup/transfer/changed.ts'

const grid = (sizeBytes: number) => ({ sizeBytes, chunkBytes: 10 })
const touched = (size: number, ranges: readonly (readonly [number, number])[], base = size) =>
  [
    ...planChanged(
      grid(size),
      ranges.map(([fromBytes, toBytes]) => ({ fromBytes, toBytes })),
      grid(base),
    ),
  ].join('')

test('a range touches every chunk it has a byte in, and no other', () => {
  assert.equal(touched(50, []), '00000')
  assert.equal(touched(50, [[10, 11]]), '01000')
  assert.equal(touched(50, [[9, 21]]), '11100')
  assert.equal(
    touched(50, [
      [10, 20],
      [49, 50],
    ]),
    '01001',
  )
  assert.equal(touched(50, [[20, 20]]), '00000')
  assert.equal(touched(45, [[44, 999]]), '00001')
})

test('what the base does not have at the same length is read: the disk has grown or shrunk', () => {
  assert.equal(touched(50, [], 30), '00011')
  assert.equal(touched(50, [], 35), '00011')
  assert.equal(touched(45, [], 50), '00001')
  assert.equal(touched(40, [], 50), '0000')
})

test('for any ranges, a chunk is read exactly when one of its bytes may differ', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.tuple(fc.nat(320), fc.nat(40)), { maxLength: 6 }),
      (size, spans) => {
        const ranges = spans.map(([fromBytes, length]) => ({ fromBytes, toBytes: fromBytes + length }))
        const plan = planChanged(grid(size), ranges, grid(size))
        for (let position = 0; position < chunkCount(grid(size)); position++) {
          const start = position * 10
          // A range may reach beyond the disk, into what would still be this chunk.
          const end = start + 10
          const differs = ranges.some(
            ({ fromBytes, toBytes }) => Math.max(start, fromBytes) < Math.min(end, toBytes),
          )
          assert.equal(plan[position] === 1, differs, `chunk ${position}`)
        }
      },
    ),
    { seed: 1128 },
  )
})
