import { createHash } from 'node:crypto'
import { LifeboatError } from '../../shared/errors.ts'
import type { VolumeExtent } from '../storage/volumes.ts'

/**
 * A volume on the wire: frames of u64 offset, u32 length, bytes, in rising order; holes are simply not there.
 * The end is a frame of length 0 followed by the SHA-256 of every frame before it, headers included: a stream that
 * broke has no end frame, and a byte that changed on the way, or an offset, is seen.
 */
export const FRAME_HEADER_BYTES = 12
const DIGEST_BYTES = 32
/** An upper limit keeps a broken length from asking for gigabytes; larger extents are cut. */
export const MAX_FRAME_BYTES = 1024 * 1024

/** Extents → bytes of the wire, end frame included. */
export async function* encodeFrames(extents: AsyncIterable<VolumeExtent>): AsyncGenerator<Buffer> {
  const digest = createHash('sha256')
  for await (const extent of extents) {
    for (let start = 0; start < extent.data.length; start += MAX_FRAME_BYTES) {
      const data = extent.data.subarray(start, start + MAX_FRAME_BYTES)
      const header = Buffer.alloc(FRAME_HEADER_BYTES)
      header.writeBigUInt64BE(BigInt(extent.offsetBytes + start), 0)
      header.writeUInt32BE(data.length, 8)
      digest.update(header).update(data)
      yield header
      yield data
    }
  }
  yield Buffer.alloc(FRAME_HEADER_BYTES)
  yield digest.digest()
}

/**
 * Bytes of the wire → extents. Throws `bad-input` for a frame out of order or beyond `sizeBytes`, for a digest that
 * does not match (after the last extent), and for a stream without an end frame.
 */
export async function* decodeFrames(
  bytes: AsyncIterable<Buffer>,
  sizeBytes: number,
): AsyncGenerator<VolumeExtent> {
  const reader = createExactReader(bytes)
  const digest = createHash('sha256')
  let nextOffset = 0
  for (;;) {
    const header = await reader.take(FRAME_HEADER_BYTES)
    const offsetBytes = Number(header.readBigUInt64BE(0))
    const lengthBytes = header.readUInt32BE(8)
    if (lengthBytes === 0) break
    if (lengthBytes > MAX_FRAME_BYTES || offsetBytes < nextOffset || offsetBytes + lengthBytes > sizeBytes) {
      throw new LifeboatError(
        'bad-input',
        `a frame of ${lengthBytes} bytes at ${offsetBytes} does not fit a volume of ${sizeBytes}`,
      )
    }
    const data = await reader.take(lengthBytes)
    digest.update(header).update(data)
    nextOffset = offsetBytes + lengthBytes
    yield { offsetBytes, data }
  }
  const sent = await reader.take(DIGEST_BYTES)
  if (!sent.equals(digest.digest())) {
    throw new LifeboatError('bad-input', 'the digest of the copied volume does not match what arrived')
  }
}

function createExactReader(bytes: AsyncIterable<Buffer>): { take(count: number): Promise<Buffer> } {
  const source = bytes[Symbol.asyncIterator]()
  let chunks: Buffer[] = []
  let available = 0
  return {
    take: async count => {
      while (available < count) {
        const next = await source.next()
        if (next.done === true) {
          throw new LifeboatError('unavailable', 'the copy of a volume ended before its last frame')
        }
        chunks.push(next.value)
        available += next.value.length
      }
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      const rest = all.subarray(count)
      chunks = rest.length > 0 ? [rest] : []
      available = rest.length
      return all.subarray(0, count)
    },
  }
}
