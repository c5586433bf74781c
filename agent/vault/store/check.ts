import { LifeboatError } from '../../../shared/errors.ts'
import { distinctPositions } from '../format/distinct.ts'
import { createFrameChecker } from '../format/frame-checker.ts'
import type { Digest } from '../format/index.ts'
import type { PointRef } from '../format/point.ts'
import { sumAt } from '../format/sums.ts'
import type { CheckDepth, CheckOptions, CheckReport, ChunkId } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { createChunkLook, type LookContext } from './chunk-look.ts'
import { fileExists } from './files.ts'
import { notListed } from './listing.ts'
import {
  describeUnreadable,
  isUnreadable,
  type ListedIndex,
  readIndexes,
  type UnreadableIndex,
} from './marks.ts'
import { readSums } from './sums.ts'

/** More than the pool has threads: one of them never waits for the main thread to give it the next. */
const CHUNKS_AT_ONCE = 6

export interface PointCheck extends CheckReport {
  readonly unreadable: readonly UnreadableIndex[]
  /** Disks whose index asks for good chunks in another length: no fault of the chunks. */
  readonly unfit: readonly string[]
}

/** Looks at every chunk of a restore point where it lies; changes nothing. `not-found`, `aborted`. */
export async function checkPoint(
  { layout, unproven }: Omit<LookContext, 'frames'>,
  ref: PointRef,
  options: CheckOptions,
): Promise<PointCheck> {
  if (!(await fileExists(layout.point(ref)))) throw notListed(ref)
  const indexes: (ListedIndex & Summed)[] = []
  const unreadable: UnreadableIndex[] = []
  for await (const item of readIndexes(layout, ref)) {
    if (isUnreadable(item)) unreadable.push(item)
    else indexes.push({ ...item, sums: await sumsFor(options.depth, layout.point(ref), item.target) })
  }
  const total = { chunks: 0, bytes: 0 }
  for (const { sizeBytes } of distinctChunks(indexes)) {
    total.chunks++
    total.bytes += sizeBytes
  }
  // Of its own: a restore waits for it.
  const frames = createFrameChecker(CHUNKS_AT_ONCE, true)
  const look = createChunkLook({ layout, frames, unproven })
  const bad: ChunkId[] = []
  const unfit = new Set<string>()
  let done = 0
  const lookAt = async ({ target, id, digest, sizeBytes, sum }: CheckedChunk): Promise<void> => {
    if (options.signal.aborted) throw new LifeboatError('aborted', 'the check was stopped')
    const { verdict } = await look(id, digest, sizeBytes, options.depth, sum)
    if (verdict === 'other-length') unfit.add(target)
    else if (verdict !== 'good') bad.push(id)
    done += sizeBytes
    options.onProgress?.(done, total.bytes)
  }
  try {
    await eachBounded(distinctChunks(indexes), CHUNKS_AT_ONCE, lookAt)
  } finally {
    frames.close()
  }
  const problems = [...unreadable.map(describeUnreadable), ...[...unfit].map(describeUnfit)]
  return { chunks: total.chunks, bad, problems, unreadable, unfit: [...unfit] }
}

export function describeUnfit(target: string): string {
  return `the index of ${target} asks for chunks in another length than they have`
}

interface Summed {
  readonly sums: Buffer
}

const NO_SUMS = Buffer.alloc(0)

/** Only the quick check believes them. */
async function sumsFor(depth: CheckDepth | undefined, folder: string, target: string): Promise<Buffer> {
  return depth === 'quick' ? ((await readSums(folder, target)) ?? NO_SUMS) : NO_SUMS
}

interface CheckedChunk {
  readonly target: string
  readonly id: ChunkId
  readonly digest: Digest
  readonly sizeBytes: number
  /** Of its frame; 0: not known. */
  readonly sum: number
}

/** Made one by one, twice: they would take more memory than the indexes. */
function* distinctChunks(indexes: readonly (ListedIndex & Summed)[]): Generator<CheckedChunk> {
  for (const { target, index, sums } of indexes) {
    for (const position of distinctPositions(index)) {
      const sizeBytes = index.endAt(position) - index.startAt(position)
      const sum = sumAt(sums, position)
      yield { target, id: index.idAt(position), digest: index.digest, sizeBytes, sum }
    }
  }
}
