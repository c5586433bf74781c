import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { rangesToZero, type Unwritten } from '../../agent/storage/gaps.ts'
import { keptLvName } from '../../agent/storage/kept-names.ts'
import { freeBytes, planDrops, type Room, reclaimableBytes } from '../../agent/storage/room.ts'

const SEED = 20_240_611
const check = <T>(property: fc.IProperty<T>) => fc.assert(property, { seed: SEED, numRuns: 500 })
console.log(`agent-storage properties: seed ${SEED}`)

describe('zero-filling of gaps', () => {
  const OLD = 1
  const DATA = 2
  const SIZE = 64

  /** What the device does: a thin pool that does not zero maps a whole chunk of old bytes at the first touch. */
  function writeTo(
    device: number[],
    mapped: Set<number>,
    unwritten: Unwritten,
    at: number,
    value: number,
  ): void {
    if (unwritten.kind === 'chunks') {
      const chunk = Math.floor(at / unwritten.chunkBytes)
      if (!mapped.has(chunk)) {
        mapped.add(chunk)
        for (let byte = 0; byte < unwritten.chunkBytes; byte += 1)
          device[chunk * unwritten.chunkBytes + byte] = OLD
      }
    }
    device[at] = value
  }

  it('whatever the extents, no old byte shows through, on every kind of target', () => {
    const kinds = fc.constantFrom<Unwritten>(
      { kind: 'zero' },
      { kind: 'old-bytes' },
      { kind: 'chunks', chunkBytes: 8 },
      { kind: 'chunks', chunkBytes: 16 },
    )
    const extents = fc
      .uniqueArray(fc.integer({ min: 0, max: SIZE }), { minLength: 2, maxLength: 12 })
      .map(edges => edges.sort((a, b) => a - b))
    check(
      fc.property(kinds, extents, (unwritten, edges) => {
        const device = Array<number>(SIZE).fill(unwritten.kind === 'old-bytes' ? OLD : 0)
        const mapped = new Set<number>()
        const wanted = Array<number>(SIZE).fill(0)
        const zero = (fromBytes: number, toBytes: number) => {
          for (const range of rangesToZero({ fromBytes, toBytes }, unwritten)) {
            assert.ok(
              range.fromBytes >= fromBytes && range.toBytes <= toBytes && range.fromBytes < range.toBytes,
            )
            for (let at = range.fromBytes; at < range.toBytes; at += 1)
              writeTo(device, mapped, unwritten, at, 0)
          }
        }
        let end = 0
        for (let index = 0; index + 1 < edges.length; index += 2) {
          const [from = 0, to = 0] = edges.slice(index, index + 2)
          zero(end, from)
          for (let at = from; at < to; at += 1) {
            writeTo(device, mapped, unwritten, at, DATA)
            wanted[at] = DATA
          }
          end = to
        }
        zero(end, SIZE)
        assert.deepEqual(device, wanted)
      }),
    )
  })
})

describe('room', () => {
  const rooms = fc.record({
    sizeBytes: fc.constant(1000),
    physicalFreeBytes: fc.integer({ min: 0, max: 1000 }),
    promisedFreeBytes: fc.integer({ min: -500, max: 1000 }),
    kept: fc.array(
      fc.record({
        path: fc.uuid(),
        keptAt: fc.integer({ min: 0, max: 5 }),
        heldBytes: fc.integer({ min: 0, max: 300 }),
      }),
      { maxLength: 6 },
    ),
  })
  const after = (room: Room, dropped: readonly string[]): Room => {
    const gone = room.kept.filter(holding => dropped.includes(holding.path))
    const bytes = gone.reduce((sum, holding) => sum + holding.heldBytes, 0)
    return {
      ...room,
      physicalFreeBytes: room.physicalFreeBytes + bytes,
      promisedFreeBytes: room.promisedFreeBytes + bytes,
      kept: room.kept.filter(holding => !dropped.includes(holding.path)),
    }
  }

  it('is never negative, and what the controller counts on can really be made', () => {
    check(
      fc.property(rooms, fc.integer({ min: 1, max: 1500 }), (room, needed) => {
        assert.ok(freeBytes(room) >= 0 && reclaimableBytes(room) >= 0)
        const plan = planDrops(room, needed)
        if (freeBytes(room) + reclaimableBytes(room) >= needed) {
          assert.ok('drop' in plan, 'told as room, and refused')
          assert.ok(freeBytes(after(room, plan.drop)) >= needed)
        }
        if ('drop' in plan) assert.ok(after(room, plan.drop).physicalFreeBytes >= needed)
      }),
    )
  })

  it('drops the oldest first, and never one that was not needed', () => {
    check(
      fc.property(rooms, fc.integer({ min: 1, max: 1500 }), (room, needed) => {
        const sparing = planDrops(room, needed, { sparesKept: true })
        assert.equal('drop' in sparing, room.physicalFreeBytes >= needed)
        if ('drop' in sparing) assert.deepEqual(sparing.drop, [])
        const plan = planDrops(room, needed)
        if (!('drop' in plan) || plan.drop.length === 0) return
        const keptAt = (path: string) => room.kept.find(holding => holding.path === path)?.keptAt ?? 0
        const left = room.kept.filter(holding => !plan.drop.includes(holding.path))
        for (const path of plan.drop) assert.ok(left.every(holding => holding.keptAt >= keptAt(path)))
        const without = after(room, plan.drop.slice(0, -1))
        const enoughBefore =
          freeBytes(
            after(
              room,
              room.kept.map(holding => holding.path),
            ),
          ) >= needed
            ? freeBytes(without) >= needed
            : without.physicalFreeBytes >= needed
        assert.equal(enoughBefore, false)
      }),
    )
  })
})

describe('names of kept LVs', () => {
  it('always fit LVM and the device mapper, and differ when the old names do', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,100}$/)
    check(
      fc.property(name, name, (one, other) => {
        const group = 'vg-0'
        const kept = keptLvName(group, one, 'move-1')
        assert.ok(group.length + kept.length <= 124)
        assert.ok(`${group}-${kept}`.replaceAll('-', '--').length - 1 <= 119)
        if (one !== other) assert.notEqual(kept, keptLvName(group, other, 'move-1'))
      }),
    )
  })
})
