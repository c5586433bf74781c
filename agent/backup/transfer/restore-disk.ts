import { hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { LifeboatError } from '../../../shared/errors.ts'
import { createUnpacker, type FrameLane } from '../../vault/format/frames.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { PointRef } from '../../vault/format/point.ts'
import type { Chunk, ChunkId, Vault } from '../../vault/vault.ts'
import type { WriteJob } from '../transfer.ts'
import type { Crew } from './crew.ts'
import { makeDurable, makeRoom, openToWrite, readFully, writeFully } from './disk.ts'
import { createPool, type Pool } from './pool.ts'

/** Unpacked bytes of the chunks fetched by one request. */
const FETCH_BYTES = 8 * 1024 * 1024
const FETCH_CHUNKS = 256
/** Requests under way: one comes while the one before is written. */
const FETCHES_UNDER_WAY = 2
const READERS = 3

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
  const handle = await openToWrite(job.path)
  try {
    await makeRoom(handle, job.path, index.sizeBytes)
    await writeAll(writing, handle)
    // At once: what the disk still has to write takes no CPU, and the hashing takes little else.
    await Promise.all([makeDurable(handle, job.path), readBack(writing, handle)])
  } finally {
    await handle.close()
  }
}

async function writeAll(writing: DiskWriting, handle: FileHandle): Promise<void> {
  const { job, index, crew, onWritten } = writing
  const zeroes = createZeroes(index)
  const lanes = Array.from({ length: writing.threads }, () => createUnpacker(index.maxChunkBytes))
  const unpackers = createPool<FrameLane>(lanes, crew.signal)
  const permits: Pool<true> = createPool(Array(FETCHES_UNDER_WAY).fill(true), crew.signal)
  let batch = new Map<ChunkId, number[]>()
  let batchBytes = 0
  const fetch = async (): Promise<void> => {
    const positions = batch
    batch = new Map()
    batchBytes = 0
    if (positions.size === 0) return
    const permit = await permits.take()
    crew.run(async () => {
      await fetchAndWrite(writing, handle, positions, unpackers)
      permits.give(permit)
    })
  }
  try {
    for (let position = 0; position < index.count; position++) {
      crew.signal.throwIfAborted()
      const id = index.idAt(position)
      const start = index.startAt(position)
      const length = index.endAt(position) - start
      if (zeroes.isZero(id, length)) {
        if (!job.readsZero) await writeFully(handle, job.path, zeroes.bytes(length), start)
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
    for (const lane of lanes) lane.close()
  }
}

async function fetchAndWrite(
  writing: DiskWriting,
  handle: FileHandle,
  positions: ReadonlyMap<ChunkId, readonly number[]>,
  unpackers: Pool<FrameLane>,
): Promise<void> {
  const chunks = await writing.vault.chunks(writing.ref, [...positions.keys()])
  await Promise.all(
    chunks.map(chunk => writeChunk(writing, handle, chunk, positions.get(chunk.id) ?? [], unpackers)),
  )
}

async function writeChunk(
  { index, job, onReceived, onWritten }: DiskWriting,
  handle: FileHandle,
  { id, frame }: Chunk,
  positions: readonly number[],
  unpackers: Pool<FrameLane>,
): Promise<void> {
  const lane = await unpackers.take()
  const bytes = await lane.turn(frame)
  onReceived(frame.length)
  for (const position of positions) {
    const start = index.startAt(position)
    if (bytes.length !== index.endAt(position) - start) {
      throw new LifeboatError('refused', `chunk ${id} has ${bytes.length} bytes, its index says otherwise`)
    }
    await writeFully(handle, job.path, bytes, start)
    onWritten(bytes.length)
  }
  // What it unpacked lies in the lane: it is free when that is written.
  unpackers.give(lane)
}

async function readBack({ job, index, crew, onChecked }: DiskWriting, handle: FileHandle): Promise<void> {
  const positions = Array(index.count).keys()
  const zeroes = createZeroes(index)
  const lane = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafeSlow(index.maxChunkBytes)
    for (const position of positions) {
      crew.signal.throwIfAborted()
      const start = index.startAt(position)
      const bytes = buffer.subarray(0, index.endAt(position) - start)
      await readFully(handle, job.path, bytes, start)
      const id = index.idAt(position)
      const isRight = zeroes.isZero(id, bytes.length)
        ? bytes.equals(zeroes.bytes(bytes.length))
        : hash(index.digest, bytes, 'hex') === id
      if (!isRight) {
        const where = `bytes ${start} to ${start + bytes.length}`
        throw new LifeboatError('unavailable', `${job.path} reads back other than was written: ${where}`)
      }
      onChecked(bytes.length)
    }
  }
  await Promise.all(Array.from({ length: READERS }, lane))
}

/** Chunks of zeroes are known by their id, without a look at their bytes: those of the largest and the last length. */
function createZeroes(index: ChunkIndex) {
  const zeroes = Buffer.alloc(index.maxChunkBytes)
  const lengths = [index.maxChunkBytes]
  if (index.count > 0) lengths.push(index.sizeBytes - index.startAt(index.count - 1))
  const ids = new Map(lengths.map(length => [length, hash(index.digest, zeroes.subarray(0, length), 'hex')]))
  return {
    isZero: (id: ChunkId, length: number): boolean => ids.get(length) === id,
    bytes: (length: number): Buffer => zeroes.subarray(0, length),
  }
}
