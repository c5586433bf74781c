import { hash } from 'node:crypto'
import { createAlignedBuffers } from '../../vault/format/aligned.ts'
import { createIndexBuilder, type IndexBuilder } from '../../vault/format/index.ts'
import type { BackupSession, ChunkId } from '../../vault/vault.ts'
import type { ReadJob } from '../transfer.ts'
import { chunkCount, chunkLength } from './changed.ts'
import type { Crew } from './crew.ts'
import { type Disk, openToRead } from './disk.ts'
import type { Fingerprints } from './fingerprints.ts'
import { createPool, type Pool } from './pool.ts'
import type { Sender } from './sender.ts'

/** Read at once: each read is a trip through the thread pool, which costs as much as hashing 50 KB. */
const BLOCK_BYTES = 2 * 1024 * 1024
/** Of all blocks: being read, asked about, being packed. */
const BLOCKS_BYTES = 32 * 1024 * 1024
/** Enough that the next read is under way while one chunk is hashed; more only shuffles the disk's readahead. */
const READERS = 3
/** Ids of chunks that are not read are asked about in larger batches: no buffer waits for the answer. */
const ASK_UNREAD = 8192

/** A request for each 32 chunks costs as much as a sixth of their fingerprints do; these all lie in the vault, most likely. */
const ASK_LIKELY = 2048

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
  readonly fingerprints: Fingerprints | undefined
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
    const isWanted = (position: number): boolean =>
      unread === undefined || unread.touched[position] === 1 || expected.has(position)
    const askAhead = createAskAhead(reading)
    const most = Math.max(1, Math.floor(BLOCK_BYTES / job.chunkBytes))
    const blockBytes = most * job.chunkBytes
    const blockCount = Math.max(READERS + 1, Math.floor(BLOCKS_BYTES / blockBytes))
    const lanes = {
      reading,
      disk,
      index,
      askAhead,
      runs: toRead(chunkCount(job), most, isWanted),
      blocks: createPool(createAlignedBuffers(blockBytes, blockCount), crew.signal),
      expected,
      zeroes: createZeroes(job.chunkBytes),
    }
    const ends = await Promise.all(Array.from({ length: READERS }, () => readRuns(lanes)))
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

/** Asks about many chunks at once that will come again, before they are read; resolves when that is known. */
function createAskAhead({
  session,
  sender,
  crew,
  fingerprints,
}: DiskReading): (position: number) => Promise<void> {
  let askedTo = 0
  let asking: Promise<void> = Promise.resolve()
  const ask = async (from: number): Promise<void> => {
    const ids = fingerprints?.likely(from, from + ASK_LIKELY) ?? []
    if (ids.length === 0) return
    const missing = new Set(await session.missing(ids))
    crew.signal.throwIfAborted()
    // One that is missing, or comes no more, stays unknown: it is asked about with its bytes at hand, or never.
    for (const id of ids) if (!missing.has(id)) sender.knows(id)
  }
  return async position => {
    if (position >= askedTo) {
      const from = askedTo
      askedTo += ASK_LIKELY
      asking = ask(from)
    }
    await asking
  }
}

/** Chunks that lie one after the other and are read together. */
interface Run {
  readonly from: number
  readonly count: number
}

function* toRead(count: number, most: number, isWanted: (position: number) => boolean): Generator<Run> {
  for (let from = 0; from < count; ) {
    let end = from
    while (end < count && end - from < most && isWanted(end)) end++
    if (end > from) yield { from, count: end - from }
    from = Math.max(end, from + 1)
  }
}

interface Lanes {
  readonly reading: DiskReading
  readonly disk: Disk
  readonly index: IndexBuilder
  readonly askAhead: (position: number) => Promise<void>
  readonly runs: Generator<Run>
  readonly blocks: Pool<Buffer>
  /** Chunks lost by the vault: what they must hash to. */
  readonly expected: ReadonlyMap<number, ChunkId>
  readonly zeroes: Zeroes
}

/** One of several lanes that share the runs. */
async function readRuns(lanes: Lanes): Promise<'read' | 'differs'> {
  const { reading, disk, blocks } = lanes
  const { job, crew, sender, spend } = reading
  // What was offered and not asked about yet may hold all blocks.
  const ask = (): void => {
    if (blocks.isEmpty && sender.isIdle) sender.flush()
  }
  for (const run of lanes.runs) {
    ask()
    await lanes.askAhead(run.from)
    const block = await blocks.take()
    const start = run.from * job.chunkBytes
    const bytes = block.subarray(0, Math.min(run.count * job.chunkBytes, job.sizeBytes - start))
    await spend(bytes.length)
    await disk.read(bytes, start)
    crew.signal.throwIfAborted()
    let users = 1
    const release = (): void => {
      if (--users === 0) blocks.give(block)
    }
    for (let number = 0; number < run.count; number++) {
      const chunk = bytes.subarray(number * job.chunkBytes, (number + 1) * job.chunkBytes)
      users++
      if (!takeChunk(lanes, run.from + number, chunk, release)) return 'differs'
    }
    release()
  }
  // Another lane may wait for one.
  ask()
  return 'read'
}

/** False: the chunk should be as in the base, and is not. */
function takeChunk(lanes: Lanes, position: number, bytes: Buffer, release: () => void): boolean {
  const { reading, index, expected, zeroes } = lanes
  const { sender, onDone } = reading
  const id = zeroes.idOf(bytes) ?? reading.fingerprints?.idOf(position, bytes) ?? hash('sha256', bytes, 'hex')
  const wanted = expected.get(position)
  if (wanted !== undefined && wanted !== id) return false
  index.set(position, id)
  // Lost chunks were counted, and are known to the sender; they must be offered nevertheless.
  onDone(wanted === undefined ? bytes.length : 0, bytes.length)
  if (wanted === undefined && sender.knows(id)) release()
  else sender.offer(id, bytes, release)
  return true
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
