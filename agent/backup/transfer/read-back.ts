import { LifeboatError } from '../../../shared/errors.ts'
import { createAlignedBuffers } from '../../vault/format/aligned.ts'
import { createHasher } from '../../vault/format/hasher.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { Crew } from './crew.ts'
import type { Disk } from './disk.ts'
import { createZeroes } from './zeroes.ts'

const READERS = 4
/** Read at once. */
const BLOCK_BYTES = 2 * 1024 * 1024

export interface ReadingBack {
  readonly job: { readonly path: string }
  readonly index: ChunkIndex
  readonly crew: Crew
  /** So many bytes of the disk were read back and are right. */
  readonly onChecked: (bytes: number) => void
}

/** Reads all of the disk and hashes it. `unavailable` where it holds other bytes than its index says. */
export async function readBack({ job, index, crew, onChecked }: ReadingBack, disk: Disk): Promise<void> {
  const zeroes = createZeroes(index)
  const blockBytes = Math.max(BLOCK_BYTES, index.maxChunkBytes)
  const runs = toRuns(index, blockBytes)
  const blocks = createAlignedBuffers(blockBytes, READERS)
  const hasher = createHasher(blocks, index.digest)
  const wrong = (position: number): LifeboatError => {
    const where = `bytes ${index.startAt(position)} to ${index.endAt(position)}`
    return new LifeboatError('unavailable', `${job.path} reads back other than was written: ${where}`)
  }
  const lane = async (block: Buffer): Promise<void> => {
    for (const { from, to } of runs) {
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
      onChecked(bytes.length)
    }
  }
  try {
    await Promise.all(blocks.map(lane))
  } finally {
    hasher.close()
  }
}

/** Positions that are read together, in order; `to` is not of them. */
function* toRuns(index: ChunkIndex, blockBytes: number): Generator<{ from: number; to: number }> {
  for (let from = 0; from < index.count; ) {
    let to = from + 1
    while (to < index.count && index.endAt(to) - index.startAt(from) <= blockBytes) to++
    yield { from, to }
    from = to
  }
}
