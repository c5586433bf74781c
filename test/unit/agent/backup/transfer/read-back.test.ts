import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { createCrew } from '../../../../../agent/backup/transfer/crew.ts'
import type { Disk } from '../../../../../agent/backup/transfer/disk.ts'
import { createFrontier } from '../../../../../agent/backup/transfer/frontier.ts'
import { readBack } from '../../../../../agent/backup/transfer/read-back.ts'
import { isAligned } from '../../../../../agent/vault/format/aligned.ts'
import { createIndexBuilder, parseIndex } from '../../../../../agent/vault/format/index.ts'
import { settle } from '../../../../fakes/manual-clock.ts'

const MIB = 1024 * 1024
/** Of the image; its last chunk is half of one. */
const CHUNKS = 200
const SIZE = CHUNKS * MIB - MIB / 2
/** How far reading stays behind. */
const BEHIND = 64 * MIB

/** Every second chunk of zeroes; the others of a byte that is their number. */
function byteOf(position: number): number {
  return position % 2 === 0 ? 0 : (position % 255) + 1
}

function indexOf() {
  const builder = createIndexBuilder(MIB, SIZE)
  for (let position = 0; position < CHUNKS; position++) {
    const length = Math.min(MIB, SIZE - position * MIB)
    builder.set(position, hash('sha256', Buffer.alloc(length, byteOf(position)), 'hex'))
  }
  return parseIndex(builder.finish())
}

/** A disk that holds what it should, but for what `spoil` makes of a read; it tells where it was read. */
function play(how: { readonly isDirect: boolean; readonly spoil?: (into: Buffer, at: number) => void }) {
  const reads: number[] = []
  const crew = createCrew(new AbortController().signal)
  const frontier = createFrontier(crew.signal)
  const disk: Disk = {
    read: async (into, at) => {
      reads.push(at)
      for (let from = 0; from < into.length; from += MIB) {
        into.subarray(from, from + MIB).fill(byteOf((at + from) / MIB))
      }
      how.spoil?.(into, at)
    },
    write: async () => {},
    isDirect: (bytes, at) => how.isDirect && isAligned(bytes, at),
    makeRoom: async () => {},
    makeDurable: async () => {},
    close: async () => {},
  }
  let checked = 0
  const onChecked = (bytes: number): void => {
    checked += bytes
  }
  const reading = { job: { path: '/dev/played' }, index: indexOf(), crew, frontier, onChecked }
  crew.run(() => readBack(reading, disk))
  return {
    crew,
    reads,
    checked: () => checked,
    write: async (endBytes: number) => {
      frontier.begin(endBytes)()
      for (let turn = 0; turn < 50; turn++) await settle()
    },
  }
}

test('reading back follows the writing, some way behind, and ends with all of the disk', async () => {
  const { crew, reads, checked, write } = play({ isDirect: true })
  await write(BEHIND + MIB)
  assert.deepEqual(reads, [])
  await write(BEHIND + 10 * MIB)
  assert.deepEqual(
    reads,
    [0, 2, 4, 6, 8].map(at => at * MIB),
  )
  assert.equal(checked(), 10 * MIB)
  await write(SIZE)
  await crew.whenDone()
  assert.equal(checked(), SIZE)
  assert.equal(Math.max(...reads), (CHUNKS - 2) * MIB)
})

test('what goes through the page cache is read when all is written: before, that would ask nobody but the cache', async () => {
  const { crew, reads, checked, write } = play({ isDirect: false })
  await write(SIZE - 1)
  assert.deepEqual(reads, [])
  await write(SIZE)
  await crew.whenDone()
  assert.equal(checked(), SIZE)
  assert.equal(reads.length, CHUNKS / 2)
})

test('a disk that is smaller than it says, and begins anew at its end, is found out though it was right at first', async () => {
  let isFull = false
  const spoil = (into: Buffer, at: number): void => {
    if (isFull && at < 8 * MIB) into.fill(99)
  }
  const { crew, checked, write } = play({ isDirect: true, spoil })
  await write(SIZE - MIB)
  assert.ok(checked() > 8 * MIB)
  isFull = true
  await write(SIZE)
  await assert.rejects(crew.whenDone(), {
    code: 'unavailable',
    message: '/dev/played reads back other than was written: bytes 0 to 1048576',
  })
})

test('what is wrong stops all at once, also who waits for what is still to be written', async () => {
  const spoil = (into: Buffer, at: number): void => {
    if (at === 4 * MIB) into[into.length - 1] = 77
  }
  const { crew, checked, write } = play({ isDirect: true, spoil })
  await write(BEHIND + 6 * MIB)
  await assert.rejects(crew.whenDone(), {
    code: 'unavailable',
    message: '/dev/played reads back other than was written: bytes 5242880 to 6291456',
  })
  assert.equal(checked(), 4 * MIB)
})
