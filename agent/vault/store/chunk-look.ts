import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import { wholeFrameBytes } from '../format/chunk.ts'
import type { FrameChecker } from '../format/frame-checker.ts'
import { type Digest, MAX_CHUNK_BYTES } from '../format/index.ts'
import { sumOf } from '../format/sums.ts'
import type { CheckDepth, ChunkId } from '../vault.ts'
import { fileErrorCode, readIfThere } from './files.ts'
import type { VaultLayout } from './layout.ts'
import type { Unproven } from './unproven.ts'

/** What is looked at, and with what. */
export interface LookContext {
  readonly layout: VaultLayout
  readonly frames: FrameChecker
  readonly unproven: Pick<Unproven, 'has'>
}

/** What a look at a chunk may find. */
export const VERDICTS = {
  good: 'it holds what its name says',
  corrupt: 'it does not, or cannot be read: it is worth nothing to anybody',
  gone: 'there is none of that name',
  'other-length': 'it is good, and the index that asks for another length is wrong',
} as const
export type Verdict = keyof typeof VERDICTS

export interface ChunkVerdict {
  readonly verdict: Verdict
  /** Compressed bytes read. */
  readonly bytes: number
}

/** A sector that cannot be read, or a checksum of the file system that is wrong: that chunk is lost. */
const MEDIA_ERRORS = new Set(['EIO', 'EBADMSG', 'EUCLEAN', 'ENODATA'])
/** Room for the frame of a chunk of ours; larger ones get memory of their own. */
const MEMORY_BYTES = 1024 * 1024
/** So many at once are not bad sectors but a disk that goes away; it may come back with all of them. */
const MOST_UNREADABLE = 100

/**
 * Reads chunks where they lie and hashes them; the quick look believes the sums of what is proven, of the frame where
 * one is known and otherwise of what is in it, but condemns nothing: what it does not like is read again and hashed.
 * Whether they hold as many bytes as an index says is another question: any blade may write an index, and what it says
 * of a chunk must harm nobody else's restore points. One that cannot be read is as corrupt as one that holds other
 * bytes; too many of those are `unavailable`, before a disk that lost its cable is taken for a vault full of corrupt
 * chunks.
 */
export function createChunkLook({ layout, frames, unproven }: LookContext) {
  let unreadable = 0
  /** Used again: a check reads gigabytes, and collecting them would take as long as hashing them. */
  const memories: Buffer[] = []
  const corrupt = (error: unknown, bytes: number): ChunkVerdict => {
    const isMedia = error instanceof LifeboatError && MEDIA_ERRORS.has(fileErrorCode(error.cause))
    if (errorCode(error) !== 'bad-input' && !isMedia) throw error
    if (isMedia && ++unreadable > MOST_UNREADABLE) {
      throw new LifeboatError(
        'unavailable',
        'the disk of the vault fails: more than 100 chunks cannot be read',
        {
          cause: error,
        },
      )
    }
    return { verdict: 'corrupt', bytes }
  }
  const look = async (
    id: ChunkId,
    digest: Digest,
    sizeBytes?: number,
    wanted: CheckDepth = 'full',
    sum = 0,
  ): Promise<ChunkVerdict> => {
    let depth = wanted
    let bytes = 0
    const memory = memories.pop() ?? Buffer.allocUnsafeSlow(MEMORY_BYTES)
    try {
      const frame = await readIfThere(layout.chunk(id), size =>
        size <= MEMORY_BYTES ? memory.subarray(0, size) : Buffer.allocUnsafeSlow(size),
      )
      if (frame === undefined) return { verdict: 'gone', bytes }
      bytes = frame.length
      // Its checksum cannot tell that it lies under the wrong name, and nobody has hashed it yet.
      if (unproven.has(id)) depth = 'full'
      const isAsPut = depth === 'quick' && sum !== 0 && sumOf(frame) === sum
      if (isAsPut && wholeFrameBytes(frame, MAX_CHUNK_BYTES) === sizeBytes) return { verdict: 'good', bytes }
      const found = await frames.check(id, frame, digest, MAX_CHUNK_BYTES, depth)
      const isRight = sizeBytes === undefined || found === sizeBytes
      if (isRight || depth === 'full') return { verdict: isRight ? 'good' : 'other-length', bytes }
    } catch (error) {
      if (errorCode(error) !== 'bad-input' || depth === 'full') return corrupt(error, bytes)
    } finally {
      memories.push(memory)
    }
    return await look(id, digest, sizeBytes)
  }
  return look
}
