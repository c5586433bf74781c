import { LifeboatError } from '../../../shared/errors.ts'
import { createAlignedBuffers } from '../../vault/format/aligned.ts'
import { createHasher } from '../../vault/format/hasher.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { Crew } from './crew.ts'
import type { Disk } from './disk.ts'
import type { Frontier } from './frontier.ts'
import { createZeroes } from './zeroes.ts'

const READERS = 2
/** Read at once. */
const BLOCK_BYTES = 2 * 1024 * 1024
/** Reading stays so far behind the writing: what a disk was given that long ago has left the queues on the way to it. */
const BEHIND_BYTES = 64 * 1024 * 1024
/** Of the runs that were read before all was written, one chunk of each so many is looked at again at the end. */
const AGAIN_EVERY = 16

export interface ReadingBack {
  readonly job: { readonly path: string }
  readonly index: ChunkIndex
  readonly crew: Crew
  readonly frontier: Frontier
  /** So many bytes of the disk were read back and are right. */
  readonly onChecked: (bytes: number) => void
}

/**
 * Reads all of the disk and hashes it. `unavailable` where it holds other bytes than its index says.
 *
 * It follows the writing, and asks the disk itself: a write past the page cache has ended when the disk has the bytes,
 * and the same way back gives what the disk answers, as it would later. What goes through the page cache is read when
 * all is written, as late as can be. Only a disk on which a later write changes an earlier place (one that is smaller than
 * it says begins anew at its end) could deceive who reads early: so samples are read again when all is written.
 */
export async function readBack(reading: ReadingBack, disk: Disk): Promise<void> {
  const { job, index, crew, frontier, onChecked } = reading
  const zeroes = createZeroes(index)
  const blockBytes = Math.max(BLOCK_BYTES, index.maxChunkBytes)
  const blocks = createAlignedBuffers(blockBytes, READERS)
  const hasher = createHasher(blocks, index.digest)
  const wrong = (position: number): LifeboatError => {
    const where = `bytes ${index.startAt(position)} to ${index.endAt(position)}`
    return new LifeboatError('unavailable', `${job.path} reads back other than was written: ${where}`)
  }
  const check = async (block: Buffer, { from, to }: Run): Promise<number> => {
    crew.signal.throwIfAborted()
    const start = index.startAt(from)
    const bytes = block.subarray(0, index.endAt(to - 1) - start)
    const chunkAt = (position: number): Buffer =>
      bytes.subarray(index.startAt(position) - start, index.endAt(position) - start)
    await disk.read(bytes, start)
    const others: number[] = []
    for (let position = from; position < to; position++) {
      const chunk = chunkAt(position)
      if (!zeroes.isZero(index.idAt(position), chunk.length)) others.push(position)
      else if (!chunk.equals(zeroes.bytes(chunk.length))) throw wrong(position)
    }
    const ids = await hasher.digest(others.map(chunkAt))
    for (const [number, position] of others.entries()) {
      if (ids[number] !== index.idAt(position)) throw wrong(position)
    }
    return bytes.length
  }
  const again: Run[] = []
  let early = 0
  try {
    await inLanes(crew, blocks, toRuns(index, blockBytes), async (block, run) => {
      await whenReadable(reading, disk, block, run)
      const isEarly = frontier.reachedBytes < index.sizeBytes
      if (isEarly && early++ % AGAIN_EVERY === 0) again.push({ from: run.from, to: run.from + 1 })
      onChecked(await check(block, run))
    })
    await inLanes(crew, blocks, again, async (block, run) => void (await check(block, run)))
  } finally {
    hasher.close()
  }
}

/** Each buffer takes the next of the runs when it is done with one. */
async function inLanes(
  crew: Crew,
  blocks: readonly Buffer[],
  runs: Iterable<Run>,
  act: (block: Buffer, run: Run) => Promise<void>,
): Promise<void> {
  const rest = runs[Symbol.iterator]()
  const lane = (block: Buffer) => async (): Promise<void> => {
    for (let next = rest.next(); !next.done; next = rest.next()) await act(block, next.value)
  }
  await crew.runAll(blocks.map(lane))
}

async function whenReadable(
  { index, frontier }: ReadingBack,
  disk: Disk,
  block: Buffer,
  { from, to }: Run,
): Promise<void> {
  const start = index.startAt(from)
  await frontier.reach(Math.min(index.endAt(to - 1) + BEHIND_BYTES, index.sizeBytes))
  for (let position = from; position < to; position++) {
    const [at, end] = [index.startAt(position), index.endAt(position)]
    if (disk.isDirect(block.subarray(at - start, end - start), at)) continue
    await frontier.reach(index.sizeBytes)
    return
  }
}

/** Positions that are read together; `to` is not of them. */
interface Run {
  readonly from: number
  readonly to: number
}

/** All of them, in order. */
function* toRuns(index: ChunkIndex, blockBytes: number): Generator<Run> {
  for (let from = 0; from < index.count; ) {
    let to = from + 1
    while (to < index.count && index.endAt(to) - index.startAt(from) <= blockBytes) to++
    yield { from, to }
    from = to
  }
}
