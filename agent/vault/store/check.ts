import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { FrameChecker } from '../format/frame-checker.ts'
import { type ChunkIndex, MAX_CHUNK_BYTES } from '../format/index.ts'
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
  const sizes = new Map<ChunkId, number>()
  const unreadable: UnreadableIndex[] = []
  let digest: ChunkIndex['digest'] = 'sha256'
  for await (const item of readIndexes(layout, ref)) {
    if (isUnreadable(item)) {
      unreadable.push(item)
      continue
    }
    const { index } = item
    digest = index.digest
    for (let position = 0; position < index.count; position++) {
      sizes.set(index.idAt(position), index.endAt(position) - index.startAt(position))
    }
  }
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const bad: ChunkId[] = []
  let done = 0
  await eachBounded(sizes, CHUNKS_AT_ONCE, async ([id, size]) => {
    if (options.signal.aborted) throw new LifeboatError('aborted', 'the check was stopped')
    if (!(await isGood({ layout, frames }, id, digest, size))) bad.push(id)
    done += size
    options.onProgress?.(done, total)
  })
  return { chunks: sizes.size, bad, problems: unreadable.map(describeUnreadable), unreadable }
}

/** Is the chunk there, and does it hold what its name says (and as much as the index says)? */
export async function isGood(
  { layout, frames }: CheckContext,
  id: ChunkId,
  digest: ChunkIndex['digest'],
  sizeBytes?: number,
): Promise<boolean> {
  const frame = await readIfThere(layout.chunk(id))
  return frame !== undefined && (await isFrameGood(frames, id, frame, digest, sizeBytes))
}

export async function isFrameGood(
  frames: FrameChecker,
  id: ChunkId,
  frame: Buffer,
  digest: ChunkIndex['digest'],
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
