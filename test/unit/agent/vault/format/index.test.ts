import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIndexBuilder, parseChunkId, parseIndex } from '../../../../../agent/vault/format/index.ts'
import { errorCode } from '../../../../../shared/errors.ts'

const id = (digit: string) => digit.repeat(64)

/** 10,000 bytes in chunks of 4096: the last one has 1808. */
function threeChunks(): Buffer {
  const builder = createIndexBuilder(4096, 10_000)
  // In whatever order they come, as hex or as bytes.
  builder.set(2, id('c'))
  builder.set(0, id('a'))
  builder.set(1, Buffer.from(id('b'), 'hex'))
  return builder.finish()
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = threeChunks()
  change(bytes)
  return bytes
}

test('an index reads back as it was written, and is 104 bytes and 40 for each chunk', () => {
  const bytes = threeChunks()
  assert.equal(bytes.length, 104 + 3 * 40)
  const index = parseIndex(bytes)
  assert.deepEqual(
    [index.digest, index.count, index.sizeBytes, index.maxChunkBytes],
    ['sha256', 3, 10_000, 4096],
  )
  assert.deepEqual(
    [0, 1, 2].map(position => [index.startAt(position), index.endAt(position), index.idAt(position)]),
    [
      [0, 4096, id('a')],
      [4096, 8192, id('b')],
      [8192, 10_000, id('c')],
    ],
  )
  assert.equal(index.rawIdAt(1).toString('hex'), id('b'))
})

test('it begins as casync wants it: 64 bytes, to the bit', () => {
  assert.equal(
    threeChunks().toString('hex', 0, 64),
    [
      '3000000000000000', // size of this header
      'f99f127b9c4d8296', // CA_FORMAT_INDEX
      '0000000000000000', // SHA-256
      '0010000000000000', // least, usual and most bytes of a chunk
      '0010000000000000',
      '0010000000000000',
      'ffffffffffffffff', // size of the table: not said here
      '7d41172f119e5be7', // CA_FORMAT_TABLE
    ].join(''),
  )
})

test('a disk of more than 4 GiB keeps its offsets', () => {
  const sizeBytes = 5 * 2 ** 30 + 1
  const builder = createIndexBuilder(2 ** 27, sizeBytes)
  for (let position = 0; position < builder.count; position++) builder.set(position, id('0'))
  const index = parseIndex(builder.finish())
  assert.deepEqual([index.count, index.sizeBytes], [41, sizeBytes])
  assert.equal(index.startAt(40), 5 * 2 ** 30)
})

test('an empty image has an index too', () => {
  const index = parseIndex(createIndexBuilder(4096, 0).finish())
  assert.deepEqual([index.count, index.sizeBytes], [0, 0])
})

test('an index that lacks a chunk is not written: it would restore zeroes', () => {
  const builder = createIndexBuilder(4096, 10_000)
  builder.set(0, id('a'))
  builder.set(2, id('a'))
  assert.throws(() => builder.finish(), /lacks chunk 1 of 3/)
  assert.throws(() => builder.set(3, id('a')), /no chunk 3/)
})

const damages: Record<string, { readonly bytes: Buffer; readonly says: RegExp }> = {
  'no bytes at all': { bytes: Buffer.alloc(0), says: /truncated/ },
  'only its head': { bytes: threeChunks().subarray(0, 64), says: /truncated/ },
  'cut inside an entry': { bytes: threeChunks().subarray(0, 130), says: /truncated/ },
  'cut by a whole entry': { bytes: threeChunks().subarray(0, 184), says: /end as one/ },
  'another file': { bytes: Buffer.alloc(224, 'x'), says: /begin as one/ },
  'a tail of something else': { bytes: changed(bytes => bytes.fill(0, 216)), says: /end as one/ },
  'a table size that is not that of the table': {
    bytes: changed(bytes => bytes.writeUInt32LE(999, 208)),
    says: /end as one/,
  },
  'an offset that does not rise': {
    bytes: changed(bytes => bytes.writeUInt32LE(4096, 64 + 40)),
    says: /offset of chunk 1 does not rise/,
  },
  'an offset beyond all disks': {
    bytes: changed(bytes => bytes.writeUInt32LE(0xffffffff, 64 + 84)),
    says: /offset of chunk 2 does not rise/,
  },
  'a chunk larger than the most': {
    bytes: changed(bytes => bytes.writeUInt32LE(20_000, 64 + 80)),
    says: /chunk 2 has 11808 bytes, the most is 4096/,
  },
  'chunk sizes in the wrong order': {
    bytes: changed(bytes => bytes.writeUInt32LE(8192, 24)),
    says: /cannot be/,
  },
  'chunks of a gigabyte': {
    bytes: changed(bytes => bytes.writeUInt32LE(2 ** 30, 40)),
    says: /cannot be/,
  },
}
for (const [name, { bytes, says }] of Object.entries(damages)) {
  test(`a damaged index is refused: ${name}`, () => {
    assert.throws(
      () => parseIndex(bytes),
      error => errorCode(error) === 'bad-input' && says.test(String(error)),
    )
  })
}

test('no flipped bit makes anything but a refusal or an index of other ids', () => {
  const good = threeChunks()
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bytes = Buffer.from(good)
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    try {
      const index = parseIndex(bytes)
      for (let position = 0; position < index.count; position++) {
        assert.ok(index.endAt(position) - index.startAt(position) <= index.maxChunkBytes)
      }
    } catch (error) {
      assert.equal(errorCode(error), 'bad-input')
    }
  }
})

test('a chunk id is 64 lower-case hex digits and nothing else: it becomes the name of a file', () => {
  assert.equal(parseChunkId(id('e')), id('e'))
  for (const bad of ['', id('E'), id('e').slice(1), `${id('e')}\n`, `../${id('e').slice(3)}`]) {
    assert.throws(() => parseChunkId(bad), /is not a chunk id/)
  }
})
