import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { LifeboatError } from '../../../shared/errors.ts'
import { contentBytes, unpackChunk, wholeFrameBytes } from './chunk.ts'

/**
 * One zstd context and one output buffer that live on: a context made anew for each chunk, and half a megabyte of
 * output to be collected after it, cost a third of the CPU of a backup. One input at a time.
 */
export interface FrameLane {
  /** In the thread pool. The result lies in the lane: it is good until the next turn. Throws `bad-input`. */
  turn(input: Buffer): Promise<Buffer>
  close(): void
}

/**
 * Level 3 with smaller tables than its own (2^17 entries): these stay in the cache of one core beside the chunk. With 2^15
 * it takes as long for 0.4 % more bytes, with level 2 for 3 % more (images of /usr). The checksum (4 bytes) lets who only
 * unpacks find damage: it costs 2 % of the packing, SHA-256 as much as the unpacking.
 */
const PARAMS = {
  [constants.ZSTD_c_compressionLevel]: 3,
  [constants.ZSTD_c_hashLog]: 16,
  [constants.ZSTD_c_chainLog]: 16,
  [constants.ZSTD_c_checksumFlag]: 1,
}
/** ZSTD_compressBound is a little less. */
const bound = (bytes: number): number => bytes + Math.ceil(bytes / 256) + 4096
/** A lane's buffer must not be filled to its end: then Node makes a new one. */
const SPARE_BYTES = 64

/** Each input, of at most `maxBytes`, becomes one whole frame with its size in its head. */
export function createPacker(maxBytes: number): FrameLane {
  // The flush ends the frame with each write, in one trip through the pool.
  const options = { ...keeping(bound(maxBytes)), flush: constants.ZSTD_e_end, params: PARAMS }
  return createLane(() => createZstdCompress(options), 'cannot be packed')
}

/**
 * Frames of at most `maxBytes` unpacked, each just one. Those that do not say how much they hold, as casync's, get a
 * context of their own: it could not be told whether they left something in the lane. What is unpacked lies in
 * `output`, of `unpackingBytes`, for those who bring it.
 */
export function createUnpacker(maxBytes: number, output?: Buffer): FrameLane {
  const make = () => createZstdDecompress(keeping(maxBytes))
  const lane = createLane(make, 'does not unpack', output)
  return {
    turn: async frame => {
      if (contentBytes(frame) === undefined) return await unpackChunk(frame, maxBytes)
      // Half a frame would stay in the context and spoil the next one.
      if (wholeFrameBytes(frame, maxBytes) === undefined) {
        throw new LifeboatError('bad-input', 'a chunk that is no single whole frame of its size')
      }
      return await lane.turn(frame)
    },
    close: lane.close,
  }
}

// The high water mark is never reached, so that nothing waits for a reader: each turn empties the stream itself.
function keeping(maxBytes: number) {
  return { chunkSize: maxBytes + SPARE_BYTES, readableHighWaterMark: 2 ** 30 }
}

/** The length of an output that is brought. */
export function unpackingBytes(maxBytes: number): number {
  return maxBytes + SPARE_BYTES
}

type ZstdStream = ReturnType<typeof createZstdCompress> | ReturnType<typeof createZstdDecompress>

function createLane(make: () => ZstdStream, failure: string, output?: Buffer): FrameLane {
  let stream: ZstdStream | undefined
  const open = (): ZstdStream => {
    if (stream !== undefined && !stream.destroyed) return stream
    stream = make()
    if (output !== undefined) Object.assign(stream, { _outBuffer: output })
    // Told by each turn; without a listener one between two turns would end the process.
    stream.on('error', () => {})
    return stream
  }
  return {
    turn: async input => {
      const standing = open()
      await new Promise<void>((resolve, reject) => {
        const fail = (cause: unknown) =>
          reject(new LifeboatError('bad-input', `a chunk ${failure}`, { cause }))
        // A stream that breaks while it writes is destroyed, and never calls back for that write.
        standing.once('error', fail)
        standing.write(input, error => {
          standing.off('error', fail)
          if (error === null || error === undefined) resolve()
          else fail(error)
        })
      })
      const bytes = (standing.read() as Buffer | null) ?? Buffer.alloc(0)
      rewind(standing)
      return bytes
    },
    close: () => void stream?.destroy(),
  }
}

/**
 * Node cuts each output from where the last one ended in a buffer, and makes a new buffer when that is full. These two
 * names are all here that is not in its documentation; should they go, each output gets a buffer of its own again.
 */
function rewind(stream: ZstdStream): void {
  Object.assign(stream, { _outOffset: 0 })
}
