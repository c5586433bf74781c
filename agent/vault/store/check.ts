import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import { distinctPositions } from '../format/distinct.ts'
import type { FrameChecker } from '../format/frame-checker.ts'
import { type ChunkIndex, type Digest, MAX_CHUNK_BYTES } from '../format/index.ts'
import type { PointRef } from '../format/point.ts'
import type { CheckReport, ChunkId, ProgressOptions } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { fileExists, readIfThere } from './files.ts'
import type { VaultLayout } from './layout.ts'
import { notListed } from './listing.ts'
import { describeUnreadable, isUnreadable, readIndexes, type UnreadableIndex } from './marks.ts'

const CHUNKS_AT_ONCE = 4

/** What is looked at, and with what. */
export interface CheckContext {
  readonly layout: VaultLayout
  readonly frames: FrameChecker
}

export interface PointCheck extends CheckReport {
  readonly unreadable: readonly UnreadableIndex[]
}

/** Hashes every chunk of a restore point where it lies; changes nothing. `not-found`, `aborted`. */
export async function checkPoint(
  { layout, frames }: CheckContext,
  ref: PointRef,
  options: ProgressOptions,
): Promise<PointCheck> {
  if (!(await fileExists(layout.point(ref)))) throw notListed(ref)
  const indexes: ChunkIndex[] = []
  const unreadable: UnreadableIndex[] = []
  for await (const item of readIndexes(layout, ref)) {
    if (isUnreadable(item)) unreadable.push(item)
    else indexes.push(item.index)
  }
  const total = { chunks: 0, bytes: 0 }
  for (const { sizeBytes } of distinctChunks(indexes)) {
    total.chunks++
    total.bytes += sizeBytes
  }
  const bad: ChunkId[] = []
  let done = 0
  await eachBounded(distinctChunks(indexes), CHUNKS_AT_ONCE, async ({ id, digest, sizeBytes }) => {
    if (options.signal.aborted) throw new LifeboatError('aborted', 'the check was stopped')
    if (!(await isGood({ layout, frames }, id, digest, sizeBytes))) bad.push(id)
    done += sizeBytes
    options.onProgress?.(done, total.bytes)
  })
  return { chunks: total.chunks, bad, problems: unreadable.map(describeUnreadable), unreadable }
}

interface CheckedChunk {
  readonly id: ChunkId
  readonly digest: Digest
  readonly sizeBytes: number
}

/** Made one by one, twice: they would take more memory than the indexes. */
function* distinctChunks(indexes: readonly ChunkIndex[]): Generator<CheckedChunk> {
  for (const index of indexes) {
    for (const position of distinctPositions(index)) {
      const sizeBytes = index.endAt(position) - index.startAt(position)
      yield { id: index.idAt(position), digest: index.digest, sizeBytes }
    }
  }
}

/** Is the chunk there, and does it hold what its name says (and as much as the index says)? */
export async function isGood(
  { layout, frames }: CheckContext,
  id: ChunkId,
  digest: Digest,
  sizeBytes?: number,
): Promise<boolean> {
  const frame = await readIfThere(layout.chunk(id))
  return frame !== undefined && (await isFrameGood(frames, id, frame, digest, sizeBytes))
}

export async function isFrameGood(
  frames: FrameChecker,
  id: ChunkId,
  frame: Buffer,
  digest: Digest,
  sizeBytes?: number,
): Promise<boolean> {
  try {
    const found = await frames.check(id, frame, digest, MAX_CHUNK_BYTES)
    return sizeBytes === undefined || found === sizeBytes
  } catch (error) {
    if (errorCode(error) === 'bad-input') return false
    throw error
  }
}
