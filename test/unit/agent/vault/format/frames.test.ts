import assert from 'node:assert/strict'
import { hash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { bearsChecksum, frameEnd } from '../../../../../agent/vault/format/chunk.ts'
import { createFrameChecker } from '../../../../../agent/vault/format/frame-checker.ts'
import { createPacker, createUnpacker } from '../../../../../agent/vault/format/frames.ts'

const SIZE = 512 * 1024
const SAMPLES = [
  Buffer.alloc(SIZE),
  randomBytes(SIZE),
  Buffer.alloc(SIZE, 'a text that repeats itself, as texts do; '),
  Buffer.concat([randomBytes(300_000), Buffer.alloc(SIZE - 300_000)]),
  Buffer.from('short'),
  Buffer.alloc(1),
]

test('one lane packs chunk after chunk, each a frame of its own that anybody unpacks', async () => {
  const packer = createPacker(SIZE)
  const unpacker = createUnpacker(SIZE)
  for (const bytes of [...SAMPLES, ...SAMPLES]) {
    const frame = Buffer.from(await packer.turn(bytes))
    assert.equal(frameEnd(frame), frame.length)
    assert.ok(bearsChecksum(frame))
    assert.ok(zstdDecompressSync(frame).equals(bytes))
    assert.ok((await unpacker.turn(frame)).equals(bytes))
  }
  packer.close()
  unpacker.close()
})

test('frames of other makers are unpacked too', async () => {
  const unpacker = createUnpacker(SIZE)
  for (const level of [1, 9]) {
    for (const checksum of [0, 1]) {
      const params = {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_checksumFlag]: checksum,
      }
      for (const bytes of SAMPLES) {
        const frame = zstdCompressSync(bytes, { params, pledgedSrcSize: bytes.length })
        assert.equal(frameEnd(frame), frame.length)
        assert.ok((await unpacker.turn(frame)).equals(bytes))
      }
    }
  }
  unpacker.close()
})

test('what is no single whole frame is refused, and the next frame is read as if it had not been', async () => {
  const unpacker = createUnpacker(SIZE)
  const bytes = SAMPLES[3] as Buffer
  const good = zstdCompressSync(bytes, { pledgedSrcSize: bytes.length })
  const flipped = Buffer.from(good)
  flipped.writeUInt8(flipped.readUInt8(40_000) ^ 1, 40_000)
  const bad = {
    empty: Buffer.alloc(0),
    'no frame': Buffer.from('this is no frame of zstd at all'),
    'cut off': good.subarray(0, good.length - 10),
    'cut off in its head': good.subarray(0, 7),
    'more than one': Buffer.concat([good, good]),
    'something behind it': Buffer.concat([good, Buffer.from([0x28, 0xb5])]),
    'too large': zstdCompressSync(Buffer.alloc(SIZE + 1), { pledgedSrcSize: SIZE + 1 }),
  }
  for (const [what, frame] of Object.entries(bad)) {
    await assert.rejects(unpacker.turn(frame), { code: 'bad-input' }, what)
    assert.ok((await unpacker.turn(good)).equals(bytes), what)
  }
  unpacker.close()
})

test('a checker tells good frames from others, many at once, and goes on after each', async () => {
  const checker = createFrameChecker(2)
  const chunks = SAMPLES.map(bytes => ({
    id: hash('sha256', bytes, 'hex'),
    frame: zstdCompressSync(bytes, { pledgedSrcSize: bytes.length }),
    bytes,
  }))
  const found = await Promise.all(
    [...chunks, ...chunks].map(({ id, frame }) => checker.check(id, frame, 'sha256', SIZE)),
  )
  assert.deepEqual(
    found,
    [...chunks, ...chunks].map(({ bytes }) => bytes.length),
  )
  const [first, second] = chunks
  assert.ok(first !== undefined && second !== undefined)
  await assert.rejects(checker.check(first.id, second.frame, 'sha256', SIZE), { code: 'bad-input' })
  await assert.rejects(checker.check(first.id, first.frame, 'sha256', SIZE - 1), { code: 'bad-input' })
  await assert.rejects(checker.check(first.id, second.frame.subarray(0, 1000), 'sha256', SIZE), {
    code: 'bad-input',
  })
  assert.equal(await checker.check(second.id, second.frame, 'sha256', SIZE), SIZE)
  checker.close()
})

test('a frame that does not say how much it holds is checked as well', async () => {
  const bytes = SAMPLES[2] as Buffer
  const pieces: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    const stream = createZstdCompress()
    stream.on('data', (piece: Buffer) => pieces.push(piece))
    stream.once('error', reject)
    stream.once('end', resolve)
    // Written in two steps, its size is not known when its head is made.
    stream.write(bytes.subarray(0, 1000))
    stream.flush(() => stream.end(bytes.subarray(1000)))
  })
  const checker = createFrameChecker(1)
  const id = hash('sha256', bytes, 'hex')
  assert.equal(await checker.check(id, Buffer.concat(pieces), 'sha256', SIZE), SIZE)
  checker.close()
})
