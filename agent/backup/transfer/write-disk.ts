import { LifeboatError } from '../../../shared/errors.ts'
import { ALIGNMENT, createAlignedBuffers } from '../../vault/format/aligned.ts'
import { createUnpacker, type FrameLane } from '../../vault/format/frames.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { PointRef } from '../../vault/format/point.ts'
import type { Chunk, ChunkId, Vault } from '../../vault/vault.ts'
import type { WriteJob } from '../transfer.ts'
import type { Crew } from './crew.ts'
import type { Disk } from './disk.ts'
import type { Frontier } from './frontier.ts'
import { createPool, type Pool } from './pool.ts'
import { createZeroes } from './zeroes.ts'

/** Unpacked bytes of the chunks fetched by one request, and written together. */
const FETCH_BYTES = 4 * 1024 * 1024
const FETCH_CHUNKS = 256
/** Frames that could not be made smaller, with their heads. */
const ANSWER_BYTES = FETCH_BYTES + 256 * 1024
/** Requests under way: one comes, one is unpacked. */
const FETCHES_UNDER_WAY = 2
/** One is filled, the others are written. */
const BLOCKS = 3

export interface DiskWriting {
  readonly job: WriteJob
  readonly ref: PointRef
  readonly index: ChunkIndex
  readonly vault: Vault
  readonly crew: Crew
  readonly threads: number
  /** How far it is written; what comes after is told by `onWritten`. */
  readonly frontier: Frontier
  /** So many bytes of the disk are written. */
  readonly onWritten: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
}

/** What chunks are unpacked and written with. */
export interface WriteTools {
  /**
   * A chunk is unpacked in a lane and copied to where it is written from. Unpacking it there would spare the copy and
   * cost more than twice of it: what the disk has fetched is in no cache of this core any more.
   */
  readonly lanes: readonly FrameLane[]
  /** Chunks side by side are one write: for each, ext4 lets nobody else at a file that it gives its blocks. */
  readonly blocks: readonly Buffer[]
}

export function createWriteTools(index: ChunkIndex, threads: number): WriteTools {
  return {
    lanes: Array.from({ length: threads + 1 }, () => createUnpacker(index.maxChunkBytes)),
    blocks: createAlignedBuffers(Math.max(FETCH_BYTES, index.maxChunkBytes), BLOCKS),
  }
}

/** A chunk to be fetched, where it goes in the block, and where on the disk. */
interface Part {
  readonly id: ChunkId
  readonly at: number
  readonly length: number
  readonly positions: number[]
}

/** Writes all that is not zero, or all, when `readsZero` is false. Not durable by itself. */
export async function writeDisk(writing: DiskWriting, disk: Disk, tools: WriteTools): Promise<void> {
  const { job, index, crew, frontier, onWritten } = writing
  const zeroes = createZeroes(index)
  const memories = Array.from({ length: FETCHES_UNDER_WAY }, () => Buffer.allocUnsafeSlow(ANSWER_BYTES))
  const pools: Pools = {
    memories: createPool(memories, crew.signal),
    lanes: createPool(tools.lanes, crew.signal),
    blocks: createPool(tools.blocks, crew.signal),
  }
  let batch = new Map<ChunkId, Part>()
  let batchBytes = 0
  /** All up to there that is not zero and not yet fetched. */
  const fetch = async (endBytes: number): Promise<void> => {
    const parts = [...batch.values()]
    const onDone = frontier.begin(endBytes)
    batch = new Map()
    batchBytes = 0
    if (parts.length === 0) return onDone()
    const memory = await pools.memories.take()
    crew.run(async () => {
      await fetchAndWrite(writing, disk, parts, pools, memory)
      onDone()
    })
  }
  for (let position = 0; position < index.count; position++) {
    crew.signal.throwIfAborted()
    const id = index.idAt(position)
    const start = index.startAt(position)
    const length = index.endAt(position) - start
    if (zeroes.isZero(id, length)) {
      if (!job.readsZero) await disk.write(zeroes.bytes(length), start)
      onWritten(length)
      continue
    }
    const known = batch.get(id)
    if (known !== undefined) {
      known.positions.push(position)
      continue
    }
    if (batchBytes + length > FETCH_BYTES || batch.size >= FETCH_CHUNKS) await fetch(start)
    batch.set(id, { id, at: batchBytes, length, positions: [position] })
    batchBytes += length
  }
  await fetch(index.sizeBytes)
  await frontier.reach(index.sizeBytes)
}

interface Pools {
  readonly memories: Pool<Buffer>
  readonly lanes: Pool<FrameLane>
  readonly blocks: Pool<Buffer>
}

async function fetchAndWrite(
  writing: DiskWriting,
  disk: Disk,
  parts: readonly Part[],
  { memories, lanes, blocks }: Pools,
  memory: Buffer,
): Promise<void> {
  const { vault, ref, crew, onReceived } = writing
  const chunks = await vault.chunks(
    ref,
    parts.map(({ id }) => id),
    memory,
  )
  const block = await blocks.take()
  const unpackOne = (part: Part, number: number) => async (): Promise<void> => {
    const lane = await lanes.take()
    const frame = frameOf(chunks[number], part)
    const unpacked = await lane.turn(frame)
    if (unpacked.length !== part.length) {
      const message = `chunk ${part.id} has ${unpacked.length} bytes, its index says otherwise`
      throw new LifeboatError('refused', message)
    }
    unpacked.copy(block, part.at)
    lanes.give(lane)
    onReceived(frame.length)
  }
  await crew.runAll(parts.map(unpackOne))
  memories.give(memory)
  await writeParts(writing, disk, parts, block)
  blocks.give(block)
}

function frameOf(chunk: Chunk | undefined, { id }: Part): Buffer {
  if (chunk?.id === id) return chunk.frame
  throw new LifeboatError('version-mismatch', `the vault was asked for chunk ${id} and sent another`)
}

/** What lies side by side in the block and on the disk is written at once. */
async function writeParts(
  { index, crew, onWritten }: DiskWriting,
  disk: Disk,
  parts: readonly Part[],
  block: Buffer,
): Promise<void> {
  const write = async ({ at, start, length }: Write): Promise<void> => {
    crew.signal.throwIfAborted()
    await disk.write(block.subarray(at, at + length), start)
    onWritten(length)
  }
  let last: Write | undefined
  for (const { at, length, positions } of parts) {
    for (const position of positions) {
      const next = { at, start: index.startAt(position), length }
      const joined = last === undefined ? undefined : join(last, next)
      if (last !== undefined && joined === undefined) await write(last)
      last = joined ?? next
    }
  }
  if (last !== undefined) await write(last)
}

/** From where in the block, to where on the disk. */
interface Write {
  readonly at: number
  readonly start: number
  readonly length: number
}

/** Undefined when they are not side by side, or one of them would keep the other from going past the page cache. */
function join(one: Write, next: Write): Write | undefined {
  const isBeside = one.at + one.length === next.at && one.start + one.length === next.start
  const isWhole = one.length % ALIGNMENT === 0 && next.length % ALIGNMENT === 0
  return isBeside && isWhole ? { ...one, length: one.length + next.length } : undefined
}
