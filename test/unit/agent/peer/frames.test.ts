import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeFrames,
  encodeFrames,
  FRAME_HEADER_BYTES,
  MAX_FRAME_BYTES,
} from '../../../../agent/peer/frames.ts'
import type { VolumeExtent } from '../../../../agent/storage/volumes.ts'

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield item
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

function paint(extents: readonly VolumeExtent[], sizeBytes: number): Buffer {
  const volume = Buffer.alloc(sizeBytes)
  for (const { offsetBytes, data } of extents) data.copy(volume, offsetBytes)
  return volume
}

const SIZE = 4096

test('whatever is sent, in whatever pieces it arrives, the volume is the same', async () => {
  const extents = fc
    .uniqueArray(fc.integer({ min: 0, max: SIZE / 64 - 1 }), { maxLength: 12 })
    .map(blocks => blocks.sort((a, b) => a - b))
    .chain(blocks =>
      fc.tuple(
        ...blocks.map(block =>
          fc.uint8Array({ minLength: 1, maxLength: 64 }).map(bytes => ({ block, bytes })),
        ),
      ),
    )
    .map(list => list.map(({ block, bytes }) => ({ offsetBytes: block * 64, data: Buffer.from(bytes) })))
  await fc.assert(
    fc.asyncProperty(extents, fc.integer({ min: 1, max: 97 }), async (list, pieceBytes) => {
      const wire = Buffer.concat(await collect(encodeFrames(each(list))))
      const pieces = Array.from({ length: Math.ceil(wire.length / pieceBytes) }, (_, index) =>
        wire.subarray(index * pieceBytes, (index + 1) * pieceBytes),
      )
      const read = await collect(decodeFrames(each(pieces), SIZE))
      assert.deepEqual(paint(read, SIZE), paint(list, SIZE))
    }),
    { seed: 20260801, numRuns: 100 },
  )
})

test('a large extent is cut, and arrives whole', async () => {
  const data = Buffer.alloc(MAX_FRAME_BYTES * 2 + 5, 7)
  const read = await collect(decodeFrames(encodeFrames(each([{ offsetBytes: 0, data }])), data.length))
  assert.equal(read.length, 3)
  assert.ok(Buffer.concat(read.map(extent => extent.data)).equals(data))
})

async function wireOf(text: string): Promise<Buffer> {
  return Buffer.concat(await collect(encodeFrames(each([{ offsetBytes: 0, data: Buffer.from(text) }]))))
}

test('a byte that changed on the way is seen', async () => {
  const wire = await wireOf('the data')
  wire[FRAME_HEADER_BYTES] = (wire[FRAME_HEADER_BYTES] ?? 0) ^ 1
  await assert.rejects(collect(decodeFrames(each([wire]), SIZE)), /digest/)
})

test('a copy that broke off is not taken for a whole one', async () => {
  const wire = await wireOf('the data')
  for (const cut of [1, FRAME_HEADER_BYTES + 3, wire.length - 1]) {
    await assert.rejects(collect(decodeFrames(each([wire.subarray(0, cut)]), SIZE)), { code: 'unavailable' })
  }
})

test('a frame beyond the volume, or backwards, is refused before it is written', async () => {
  await assert.rejects(collect(decodeFrames(each([await wireOf('x'.repeat(9))]), 8)), { code: 'bad-input' })
  const backwards = encodeFrames(
    each([
      { offsetBytes: 8, data: Buffer.from('b') },
      { offsetBytes: 0, data: Buffer.from('a') },
    ]),
  )
  await assert.rejects(collect(decodeFrames(backwards, SIZE)), { code: 'bad-input' })
})
