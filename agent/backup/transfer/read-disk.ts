import { hash } from 'node:crypto'
import { createIndexBuilder, type IndexBuilder } from '../../vault/format/index.ts'
import type { BackupSession, ChunkId } from '../../vault/vault.ts'
import type { ReadJob } from '../transfer.ts'
import { createAlignedBuffers } from './aligned.ts'
import { chunkCount, chunkLength } from './changed.ts'
import type { Crew } from './crew.ts'
import { type Disk, openToRead } from './disk.ts'
import { createPool, type Pool } from './pool.ts'
import { ASK_CHUNKS, type Sender } from './sender.ts'

/** Of the chunks under way: read, asked about, being packed. At least twice a batch of questions. */
const BUFFERS_BYTES = 24 * 1024 * 1024
/** Enough that the next read is under way while one chunk is hashed; more only shuffles the disk's readahead. */
const READERS = 3
/** Ids of chunks that are not read are asked about in larger batches: no buffer waits for the answer. */
const ASK_UNREAD = 8192

/** What is not read, since it is as it was in the base restore point. */
export interface Unread {
  /** 1 for each chunk that is to be read. */
  readonly touched: Uint8Array
  /** The 32 bytes of the id in the base. */
  rawIdAt(position: number): Buffer
}

export interface DiskReading {
  readonly job: ReadJob
  readonly unread: Unread | undefined
  readonly session: BackupSession
  readonly sender: Sender
  readonly crew: Crew
  readonly spend: (bytes: number) => Promise<void>
  /** So many bytes of the disk are dealt with; `read` of them were read. */
  readonly onDone: (bytes: number, read: number) => void
}

/**
 * Reads one disk, offers its chunks to the sender, and resolves with its index when all was offered. Undefined: a
 * chunk that should be as in the base is not, so that the base cannot be trusted: read all.
 */
export async function readDisk(reading: DiskReading): Promise<Buffer | undefined> {
  const { job, unread, crew } = reading
  const index = createIndexBuilder(job.chunkBytes, job.sizeBytes)
  const expected = unread === undefined ? new Map() : await takeFromBase(reading, unread, index)
  const disk = await openToRead(job.path)
  try {
    const positions = toRead(chunkCount(job), unread, expected)
    const buffers = createBuffers(job.chunkBytes, crew.signal)
    const lanes = {
      reading,
      disk,
      index,
      positions,
      buffers,
      expected,
      zeroes: createZeroes(job.chunkBytes),
    }
    const ends = await Promise.all(Array.from({ length: READERS }, () => readChunks(lanes)))
    return ends.includes('differs') ? undefined : index.finish()
  } finally {
    await disk.close()
  }
}

/** Asks about all that is taken from the base; what the vault has lost is read again, and so healed. */
async function takeFromBase(
  { job, session, sender, crew, onDone }: DiskReading,
  unread: Unread,
  index: IndexBuilder,
): Promise<Map<number, ChunkId>> {
  const lost = new Map<number, ChunkId>()
  let batch = new Map<ChunkId, number>()
  const ask = async (): Promise<void> => {
    crew.signal.throwIfAborted()
    for (const id of await session.missing([...batch.keys()])) {
      const position = batch.get(id)
      if (position !== undefined) lost.set(position, id)
    }
    batch = new Map()
  }
  for (let position = 0; position < index.count; position++) {
    if (unread.touched[position] === 1) continue
    const raw = unread.rawIdAt(position)
    const id = raw.toString('hex')
    index.set(position, raw)
    if (!sender.knows(id)) batch.set(id, position)
    if (batch.size >= ASK_UNREAD) await ask()
    onDone(chunkLength(job, position), 0)
  }
  if (batch.size > 0) await ask()
  return lost
}

function* toRead(
  count: number,
  unread: Unread | undefined,
  lost: ReadonlyMap<number, ChunkId>,
): Generator<number, undefined> {
  for (let position = 0; position < count; position++) {
    if (unread === undefined || unread.touched[position] === 1 || lost.has(position)) yield position
  }
}

interface Lanes {
  readonly reading: DiskReading
  readonly disk: Disk
  readonly index: IndexBuilder
  readonly positions: Generator<number, undefined>
  readonly buffers: Pool<Buffer>
  /** Chunks lost by the vault: what they must hash to. */
  readonly expected: ReadonlyMap<number, ChunkId>
  readonly zeroes: Zeroes
}

/** One of several lanes that share the positions. */
async function readChunks(lanes: Lanes): Promise<'read' | 'differs'> {
  const { reading, disk, index, buffers, expected, zeroes } = lanes
  const { job, crew, sender, onDone, spend } = reading
  for (const position of lanes.positions) {
    const buffer = await buffers.take()
    const bytes = buffer.subarray(0, chunkLength(job, position))
    await spend(bytes.length)
    await disk.read(bytes, position * job.chunkBytes)
    crew.signal.throwIfAborted()
    const zeroId = zeroes.idOf(bytes)
    const id = zeroId ?? hash('sha256', bytes, 'hex')
    const wanted = expected.get(position)
    if (wanted !== undefined && wanted !== id) return 'differs'
    index.set(position, id)
    if (wanted === undefined) onDone(bytes.length, bytes.length)
    else onDone(0, bytes.length)
    // Lost chunks are known to the sender, and must be offered nevertheless.
    if (wanted === undefined && sender.knows(id)) buffers.give(buffer)
    else sender.offer(id, bytes, () => buffers.give(buffer))
  }
  return 'read'
}

function createBuffers(chunkBytes: number, signal: AbortSignal): Pool<Buffer> {
  const count = Math.max(2 * ASK_CHUNKS, Math.floor(BUFFERS_BYTES / chunkBytes))
  return createPool(createAlignedBuffers(chunkBytes, Math.min(count, 256)), signal)
}

interface Zeroes {
  /** The id of a chunk of zeroes, hashed once per length; undefined for any other. */
  idOf(bytes: Buffer): ChunkId | undefined
}

function createZeroes(chunkBytes: number): Zeroes {
  const zeroes = Buffer.alloc(chunkBytes)
  const ids = new Map<number, ChunkId>()
  return {
    idOf: bytes => {
      const same = bytes.length === chunkBytes ? zeroes : zeroes.subarray(0, bytes.length)
      if (!bytes.equals(same)) return undefined
      const id = ids.get(bytes.length) ?? hash('sha256', bytes, 'hex')
      ids.set(bytes.length, id)
      return id
    },
  }
}
