import { LifeboatError } from '../../../shared/errors.ts'
import { createAlignedBuffers } from '../../vault/format/aligned.ts'
import { createUnpacker, type FrameLane } from '../../vault/format/frames.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { PointRef } from '../../vault/format/point.ts'
import type { Chunk, ChunkId, Vault } from '../../vault/vault.ts'
import type { WriteJob } from '../transfer.ts'
import { type Crew, createCrew } from './crew.ts'
import { type Disk, openToWrite } from './disk.ts'
import { createFrontier, type Frontier } from './frontier.ts'
import { createPool, type Pool } from './pool.ts'
import { readBack } from './read-back.ts'
import { createZeroes } from './zeroes.ts'

/** Unpacked bytes of the chunks fetched by one request. */
const FETCH_BYTES = 4 * 1024 * 1024
const FETCH_CHUNKS = 256
/** Frames that could not be made smaller, with their heads. */
const ANSWER_BYTES = FETCH_BYTES + 256 * 1024
/** Requests under way: one is read by the vault, one comes, one is written. */
const FETCHES_UNDER_WAY = 3
/** Chunks that are unpacked and wait for the disk, beside those that are being unpacked. */
const WRITES_WAITING = 2

export interface DiskWriting {
  readonly job: WriteJob
  readonly ref: PointRef
  readonly index: ChunkIndex
  readonly vault: Vault
  readonly crew: Crew
  readonly threads: number
  /** So many bytes of the disk are written. */
  readonly onWritten: (bytes: number) => void
  /** So many bytes of the disk were read back and are right. */
  readonly onChecked: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
}

/**
 * Writes one disk, makes it durable, reads all of it back and hashes it, also what was left out for reading zero.
 * Reading back follows the writing, see read-back.ts. The chunks were checked by the vault, and are not hashed before
 * they are written: reading back does it.
 * Errors: `unavailable` when the disk cannot be written or holds other bytes than were written.
 */
export async function restoreDisk(writing: DiskWriting): Promise<void> {
  const { job, index } = writing
  const disk = await openToWrite(job.path)
  // Of its own: when this ends, by an error or a stop too, nothing is under way with the disk any more.
  const crew = createCrew(writing.crew.signal)
  const places = createPlaces(writing)
  try {
    await disk.makeRoom(index.sizeBytes)
    const own = { ...writing, crew, frontier: createFrontier(crew.signal) }
    crew.run(async () => {
      await writeAll(own, disk, places)
      // While the rest is read back: what the disk still has to write takes no CPU, and the hashing takes little else.
      await disk.makeDurable()
    })
    crew.run(() => readBack(own, disk))
    await crew.whenDone()
  } finally {
    crew.end()
    for (const { lane } of places) lane.close()
    await disk.close()
  }
}

/**
 * Where a chunk is unpacked, and where it is written from. Unpacking to where it is written from spares the copy and
 * costs more than twice of it: what the disk has fetched is in no cache of this core any more.
 */
interface Place {
  readonly lane: FrameLane
  readonly buffer: Buffer
}

function createPlaces({ index, threads }: DiskWriting): readonly Place[] {
  return createAlignedBuffers(index.maxChunkBytes, threads + WRITES_WAITING).map(buffer => ({
    lane: createUnpacker(index.maxChunkBytes),
    buffer,
  }))
}

interface FollowedWriting extends DiskWriting {
  readonly frontier: Frontier
}

async function writeAll(writing: FollowedWriting, disk: Disk, places: readonly Place[]): Promise<void> {
  const { job, index, crew, frontier, onWritten } = writing
  const zeroes = createZeroes(index)
  const free = createPool<Place>(places, crew.signal)
  const memories = Array.from({ length: FETCHES_UNDER_WAY }, () => Buffer.allocUnsafeSlow(ANSWER_BYTES))
  const permits: Pool<Buffer> = createPool(memories, crew.signal)
  let batch = new Map<ChunkId, number[]>()
  let batchBytes = 0
  /** All up to there that is not zero and not yet fetched. */
  const fetch = async (endBytes: number): Promise<void> => {
    const positions = batch
    const onDone = frontier.begin(endBytes)
    batch = new Map()
    batchBytes = 0
    if (positions.size === 0) return onDone()
    const memory = await permits.take()
    crew.run(async () => {
      await fetchAndWrite(writing, disk, positions, free, memory)
      permits.give(memory)
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
    if (known === undefined) batch.set(id, [position])
    else known.push(position)
    if (known === undefined) batchBytes += length
    if (batchBytes >= FETCH_BYTES || batch.size >= FETCH_CHUNKS) await fetch(index.endAt(position))
  }
  await fetch(index.sizeBytes)
  // Once more all permits: what is under way has ended.
  for (let count = 0; count < FETCHES_UNDER_WAY; count++) await permits.take()
}

async function fetchAndWrite(
  writing: DiskWriting,
  disk: Disk,
  positions: ReadonlyMap<ChunkId, readonly number[]>,
  free: Pool<Place>,
  memory: Buffer,
): Promise<void> {
  const chunks = await writing.vault.chunks(writing.ref, [...positions.keys()], memory)
  const writeOne = (chunk: Chunk) => () =>
    writeChunk(writing, disk, chunk, positions.get(chunk.id) ?? [], free)
  await writing.crew.runAll(chunks.map(writeOne))
}

async function writeChunk(
  { index, crew, onReceived, onWritten }: DiskWriting,
  disk: Disk,
  { id, frame }: Chunk,
  positions: readonly number[],
  free: Pool<Place>,
): Promise<void> {
  const place = await free.take()
  const unpacked = await place.lane.turn(frame)
  const bytes = place.buffer.subarray(0, unpacked.copy(place.buffer))
  onReceived(frame.length)
  for (const position of positions) {
    const start = index.startAt(position)
    if (bytes.length !== index.endAt(position) - start) {
      throw new LifeboatError('refused', `chunk ${id} has ${bytes.length} bytes, its index says otherwise`)
    }
    crew.signal.throwIfAborted()
    await disk.write(bytes, start)
    onWritten(bytes.length)
  }
  free.give(place)
}
