import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { createZstdCompress, zstdCompressSync } from 'node:zlib'
import { chunkPath, contentBytes, openChunk, unpackChunk } from '../../../../../agent/vault/format/chunk.ts'
import { errorCode } from '../../../../../shared/errors.ts'

const MIB = 1024 * 1024

test('a chunk lies where casync looks for it', () => {
  const id = `ab12${'0'.repeat(60)}`
  assert.equal(chunkPath(id), `ab12/${id}.cacnk`)
})

test('the size a frame says it has is read for every width of the field', () => {
  for (const size of [0, 1, 255, 256, 300, 65_791, 65_792, 512 * 1024, 20 * MIB]) {
    assert.equal(contentBytes(zstdCompressSync(Buffer.alloc(size, 1))), size, String(size))
  }
  assert.throws(() => contentBytes(Buffer.from('xz would begin otherwise')), /no zstd frame/)
})

test('a chunk opens by either digest, and not as another', async () => {
  const bytes = Buffer.from('the same bytes')
  const frame = zstdCompressSync(bytes)
  for (const digest of ['sha256', 'sha512-256'] as const) {
    const id = hash(digest, bytes, 'hex')
    assert.deepEqual(await openChunk(id, frame, digest, MIB), bytes)
    const other = digest === 'sha256' ? 'sha512-256' : 'sha256'
    await assert.rejects(openChunk(id, frame, other, MIB), /holds other bytes/)
  }
})

test('a small frame that holds a large disk is refused before it is unpacked, also when it hides its size', async () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 * MIB))
  assert.ok(bomb.length < 16 * 1024)
  const isRefused = (error: unknown) => errorCode(error) === 'bad-input'
  await assert.rejects(unpackChunk(bomb, MIB), isRefused)
  const stream = createZstdCompress()
  stream.end(Buffer.alloc(64 * MIB))
  const hidden = Buffer.concat(await stream.toArray())
  assert.equal(contentBytes(hidden), undefined)
  await assert.rejects(unpackChunk(hidden, MIB), isRefused)
})

test('a frame that was cut or flipped is refused', async () => {
  const frame = zstdCompressSync(Buffer.from('some bytes that are long enough to be packed, packed, packed'))
  const id = hash(
    'sha256',
    Buffer.from('some bytes that are long enough to be packed, packed, packed'),
    'hex',
  )
  for (let length = 0; length < frame.length; length++) {
    await assert.rejects(
      openChunk(id, frame.subarray(0, length), 'sha256', MIB),
      error => errorCode(error) === 'bad-input',
    )
  }
})
