import { hash } from 'node:crypto'
import { zstdDecompress } from 'node:zlib'
import { LifeboatError } from '../../../shared/errors.ts'
import type { ChunkId } from '../vault.ts'
import type { Digest } from './index.ts'

const ZSTD_MAGIC = 0xfd2fb528
/** Where a frame does not say how much it holds (casync's do not always). */
const USUAL_BYTES = 1024 * 1024
const MIN_OUTPUT_BYTES = 64

/** Where a chunk lies below the store, casync's way: `ab12/ab12….cacnk`. */
export function chunkPath(id: ChunkId): string {
  return `${id.slice(0, 4)}/${id}.cacnk`
}

/** How many bytes a zstd frame says it unpacks to; undefined when it does not say. Throws `bad-input` for no frame. */
export function contentBytes(frame: Buffer): number | undefined {
  const { sizeAt, sizeWidth, blocksAt } = readHead(frame)
  if (sizeWidth === 0 || frame.length < blocksAt) return undefined
  if (sizeWidth === 1) return frame.readUInt8(sizeAt)
  if (sizeWidth === 2) return frame.readUInt16LE(sizeAt) + 256
  return sizeWidth === 4 ? frame.readUInt32LE(sizeAt) : Number(frame.readBigUInt64LE(sizeAt))
}

/**
 * Where the zstd frame at the head of the bytes ends, by the sizes of its blocks; undefined when they reach beyond the
 * bytes. Throws `bad-input` for no frame.
 */
export function frameEnd(bytes: Buffer): number | undefined {
  const { blocksAt, hasChecksum } = readHead(bytes)
  for (let at = blocksAt; at + 3 <= bytes.length; ) {
    // RFC 8878 §3.1.1.2: last (1 bit), type (2), size (21); a block that repeats one byte holds just that byte.
    const block = bytes.readUIntLE(at, 3)
    const isRepeat = ((block >> 1) & 3) === 1
    at += 3 + (isRepeat ? 1 : block >> 3)
    if ((block & 1) === 1) {
      const end = at + (hasChecksum ? 4 : 0)
      return end <= bytes.length ? end : undefined
    }
  }
  return undefined
}

/**
 * How many bytes a frame says it holds that is one whole frame and holds no more than `maxBytes`; undefined otherwise. What
 * is in it is not looked at. Throws `bad-input` for no frame.
 */
export function wholeFrameBytes(frame: Buffer, maxBytes: number): number | undefined {
  const size = contentBytes(frame)
  return size !== undefined && size <= maxBytes && frameEnd(frame) === frame.length ? size : undefined
}

/** Whether who unpacks the frame also checks what comes out, by its XXH64. Throws `bad-input` for no frame. */
export function bearsChecksum(frame: Buffer): boolean {
  return readHead(frame).hasChecksum
}

function readHead(frame: Buffer) {
  if (frame.length < 6 || frame.readUInt32LE(0) !== ZSTD_MAGIC) {
    throw new LifeboatError('bad-input', 'a chunk that is no zstd frame')
  }
  // RFC 8878 §3.1.1: descriptor, window (absent in a single segment), dictionary id, content size.
  const descriptor = frame.readUInt8(4)
  const isSingle = (descriptor & 0x20) !== 0
  const flag = descriptor >> 6
  const sizeAt = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0)
  const sizeWidth = flag === 0 ? (isSingle ? 1 : 0) : 1 << flag
  return { sizeAt, sizeWidth, blocksAt: sizeAt + sizeWidth, hasChecksum: (descriptor & 4) !== 0 }
}

/**
 * The bytes of a chunk, in the thread pool. `bad-input` when it does not unpack or would give more than `maxBytes`: a
 * small frame can hold gigabytes of zeroes.
 */
export async function unpackChunk(frame: Buffer, maxBytes: number): Promise<Buffer> {
  const size = contentBytes(frame)
  if (size !== undefined && size > maxBytes) {
    throw new LifeboatError('bad-input', `a chunk of ${size} bytes, the most is ${maxBytes}`)
  }
  // One output buffer of the right size: with the default of 16 KiB each chunk goes through the pool many times.
  const chunkSize = Math.max(MIN_OUTPUT_BYTES, size ?? Math.min(maxBytes, USUAL_BYTES))
  return await new Promise((resolve, reject) => {
    zstdDecompress(frame, { chunkSize, maxOutputLength: maxBytes }, (error, bytes) => {
      if (error === null) resolve(bytes)
      else reject(new LifeboatError('bad-input', 'a chunk does not unpack', { cause: error }))
    })
  })
}

/** The id of a chunk's bytes, as 64 hex digits. SHA-256 in the thread pool; SHA-512/256 has no such way and blocks. */
async function digestChunk(bytes: Uint8Array<ArrayBuffer>, digest: Digest): Promise<ChunkId> {
  if (digest === 'sha512-256') return hash('sha512-256', bytes, 'hex')
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}

/** The bytes of a chunk, unpacked and found to be those of its id. `bad-input` otherwise. */
export async function openChunk(
  id: ChunkId,
  frame: Buffer,
  digest: Digest,
  maxBytes: number,
): Promise<Buffer> {
  const bytes = await unpackChunk(frame, maxBytes)
  const found = await digestChunk(bytes as Buffer<ArrayBuffer>, digest)
  if (found === id) return bytes
  throw new LifeboatError('bad-input', `chunk ${id} holds other bytes: they hash to ${found}`)
}
