import { hash } from 'node:crypto'
import { LifeboatError } from '../../../shared/errors.ts'
import type { CheckDepth, ChunkId } from '../vault.ts'
import { createAlignedBuffers } from './aligned.ts'
import { bearsChecksum, openChunk, wholeFrameBytes } from './chunk.ts'
import { createUnpacker, type FrameLane, unpackingBytes } from './frames.ts'
import { createHasher } from './hasher.ts'
import type { Digest } from './index.ts'

/** Chunks up to this go through lanes; ours are half of it. Larger ones, and casync's, are unpacked one by one. */
const LANE_BYTES = 1024 * 1024

/** Finds out whether frames hold what their ids say, many of them one after the other. */
export interface FrameChecker {
  /**
   * How many bytes the chunk has. `bad-input` when it does not unpack, or to other bytes, or to more than `maxBytes`.
   * `quick`: of a frame with a checksum only that it holds what was packed, not under which name. Default `full`.
   */
  check(id: ChunkId, frame: Buffer, digest: Digest, maxBytes: number, depth?: CheckDepth): Promise<number>
  close(): void
}

/**
 * As many lanes as are asked for at once, `most` at the most; those beyond it wait. Without a thread that helps, hashing
 * is the main thread's, 0.3 ms for half a megabyte: the way through the pool copies the bytes first.
 */
export function createFrameChecker(most: number, isHelped = false): FrameChecker {
  const outputs = isHelped ? createAlignedBuffers(unpackingBytes(LANE_BYTES), most) : []
  const hasher = createHasher(outputs, 'sha256')
  const free: FrameLane[] = []
  const waiting: ((lane: FrameLane) => void)[] = []
  let made = 0
  const take = async (): Promise<FrameLane> => {
    const lane = free.pop()
    if (lane !== undefined) return lane
    if (made < most) {
      return createUnpacker(LANE_BYTES, outputs[made++])
    }
    return await new Promise(resolve => waiting.push(resolve))
  }
  const give = (lane: FrameLane): void => {
    const next = waiting.shift()
    if (next === undefined) free.push(lane)
    else next(lane)
  }
  return {
    check: async (id, frame, digest, maxBytes, depth) => {
      const size = wholeFrameBytes(frame, Math.min(maxBytes, LANE_BYTES))
      if (size === undefined) {
        return (await openChunk(id, frame, digest, maxBytes)).length
      }
      const lane = await take()
      try {
        const bytes = await lane.turn(frame)
        if (depth === 'quick' && bearsChecksum(frame) && bytes.length === size) return size
        const [found] = digest === 'sha256' ? await hasher.digest([bytes]) : [hash(digest, bytes, 'hex')]
        if (found === id && bytes.length === size) return size
        throw new LifeboatError('bad-input', `chunk ${id} holds other bytes: they hash to ${found}`)
      } finally {
        give(lane)
      }
    },
    close: () => {
      hasher.close()
      for (const lane of free) lane.close()
    },
  }
}
