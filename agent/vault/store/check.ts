import { LifeboatError } from '../../../shared/errors.ts'
import { distinctPositions } from '../format/distinct.ts'
import type { ChunkIndex, Digest } from '../format/index.ts'
import type { PointRef } from '../format/point.ts'
import type { CheckReport, ChunkId, ProgressOptions } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { createChunkLook, type LookContext } from './chunk-look.ts'
import { fileExists } from './files.ts'
import { notListed } from './listing.ts'
import { describeUnreadable, isUnreadable, readIndexes, type UnreadableIndex } from './marks.ts'

const CHUNKS_AT_ONCE = 4

export interface PointCheck extends CheckReport {
  readonly unreadable: readonly UnreadableIndex[]
}

/** Hashes every chunk of a restore point where it lies; changes nothing. `not-found`, `aborted`. */
export async function checkPoint(
  { layout, frames }: LookContext,
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
  const look = createChunkLook({ layout, frames })
  const bad: ChunkId[] = []
  let done = 0
  await eachBounded(distinctChunks(indexes), CHUNKS_AT_ONCE, async ({ id, digest, sizeBytes }) => {
    if (options.signal.aborted) throw new LifeboatError('aborted', 'the check was stopped')
    const { verdict } = await look(id, digest, sizeBytes)
    if (verdict !== 'good') bad.push(id)
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
