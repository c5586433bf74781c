import { LifeboatError } from '../../../shared/errors.ts'
import { createAlignedBuffers } from '../../vault/format/aligned.ts'
import { createUnpacker, type FrameLane } from '../../vault/format/frames.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { PointRef } from '../../vault/format/point.ts'
import type { Chunk, ChunkId, Vault } from '../../vault/vault.ts'
import type { WriteJob } from '../transfer.ts'
import type { Crew } from './crew.ts'
import { type Disk, openToWrite } from './disk.ts'
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
 * The chunks were hashed by the vault, and are not hashed again before they are written: reading back does it.
 * Errors: `unavailable` when the disk cannot be written or holds other bytes than were written.
 */
export async function restoreDisk(writing: DiskWriting): Promise<void> {
  const { job, index } = writing
  const disk = await openToWrite(job.path)
  try {
    await disk.makeRoom(index.sizeBytes)
    await writeAll(writing, disk)
    // At once: what the disk still has to write takes no CPU, and the hashing takes little else.
    await Promise.all([disk.makeDurable(), readBack(writing, disk)])
  } finally {
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

async function writeAll(writing: DiskWriting, disk: Disk): Promise<void> {
  const { job, index, crew, onWritten } = writing
  const zeroes = createZeroes(index)
  const places = createAlignedBuffers(index.maxChunkBytes, writing.threads + WRITES_WAITING).map(buffer => ({
    lane: createUnpacker(index.maxChunkBytes),
    buffer,
  }))
  const free = createPool<Place>(places, crew.signal)
  const memories = Array.from({ length: FETCHES_UNDER_WAY }, () => Buffer.allocUnsafeSlow(ANSWER_BYTES))
  const permits: Pool<Buffer> = createPool(memories, crew.signal)
  let batch = new Map<ChunkId, number[]>()
  let batchBytes = 0
  const fetch = async (): Promise<void> => {
    const positions = batch
    batch = new Map()
    batchBytes = 0
    if (positions.size === 0) return
    const memory = await permits.take()
    crew.run(async () => {
      await fetchAndWrite(writing, disk, positions, free, memory)
      permits.give(memory)
    })
  }
  try {
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
      if (batchBytes >= FETCH_BYTES || batch.size >= FETCH_CHUNKS) await fetch()
    }
    await fetch()
    // Once more all permits: what is under way has ended.
    for (let count = 0; count < FETCHES_UNDER_WAY; count++) await permits.take()
  } finally {
    for (const { lane } of places) lane.close()
  }
}

async function fetchAndWrite(
  writing: DiskWriting,
  disk: Disk,
  positions: ReadonlyMap<ChunkId, readonly number[]>,
  free: Pool<Place>,
  memory: Buffer,
): Promise<void> {
  const chunks = await writing.vault.chunks(writing.ref, [...positions.keys()], memory)
  await Promise.all(
    chunks.map(chunk => writeChunk(writing, disk, chunk, positions.get(chunk.id) ?? [], free)),
  )
}

async function writeChunk(
  { index, onReceived, onWritten }: DiskWriting,
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
    await disk.write(bytes, start)
    onWritten(bytes.length)
  }
  free.give(place)
}
