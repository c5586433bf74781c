import type { BackupSession, Chunk, ChunkId } from '../../vault/vault.ts'
import type { Crew } from './crew.ts'
import { createPacker, type FrameLane } from './frames.ts'
import { createPool, type Pool } from './pool.ts'
import { createRecentIds } from './recent-ids.ts'

/** Chunks asked about together: few, since their bytes wait in memory for the answer. */
export const ASK_CHUNKS = 16
/** Frames sent together. */
const PUT_BYTES = 4 * 1024 * 1024
/** Bodies under way: one is received while the one before is written. */
const PUTS_UNDER_WAY = 2
/** 10 MB of memory; 16 GiB of disk in chunks of 512 KiB. */
const RECENT_IDS = 32_768

/** Brings chunks to the vault that it lacks. */
export interface Sender {
  readonly sentBytes: number
  /** True when the vault was already asked about that chunk: nothing is to be done. */
  knows(id: ChunkId): boolean
  /** As if nothing had been asked yet. */
  forget(): void
  /** `bytes` stay the sender's until it calls `release`. */
  offer(id: ChunkId, bytes: Buffer, release: () => void): void
  /** Asks now about what was offered, and sends what is packed, so that the crew's end is the end of it. */
  flush(): void
  /** After the crew is done. */
  sendRest(): Promise<void>
  close(): void
}

interface Offer {
  readonly id: ChunkId
  readonly bytes: Buffer
  readonly release: () => void
}

export function createSender(session: BackupSession, crew: Crew, packers: number): Sender {
  const lanes = Array.from({ length: packers }, createPacker)
  const lanePool = createPool<FrameLane>(lanes, crew.signal)
  const permits: Pool<true> = createPool(Array(PUTS_UNDER_WAY).fill(true), crew.signal)
  let recent = createRecentIds(RECENT_IDS)
  let offers: Offer[] = []
  let packed: Chunk[] = []
  let packedBytes = 0
  let sentBytes = 0

  async function put(): Promise<void> {
    const chunks = packed
    packed = []
    packedBytes = 0
    if (chunks.length === 0) return
    const permit = await permits.take()
    crew.run(async () => {
      await session.put(chunks)
      sentBytes += chunks.reduce((sum, { frame }) => sum + frame.length, 0)
      permits.give(permit)
    })
  }

  async function pack({ id, bytes, release }: Offer): Promise<void> {
    const lane = await lanePool.take()
    const frame = await lane.turn(bytes)
    lanePool.give(lane)
    packed.push({ id, frame })
    packedBytes += frame.length
    // The buffer is given back only after the frame found its place: so the frames that wait are bounded too.
    if (packedBytes >= PUT_BYTES) await put()
    release()
  }

  async function ask(batch: readonly Offer[]): Promise<void> {
    const missing = new Set(await session.missing(batch.map(({ id }) => id)))
    for (const offer of batch) {
      if (missing.has(offer.id)) crew.run(() => pack(offer))
      else offer.release()
    }
  }

  const flush = (): void => {
    const batch = offers
    offers = []
    if (batch.length > 0) crew.run(() => ask(batch))
  }

  return {
    get sentBytes() {
      return sentBytes
    },
    knows: id => !recent.add(id),
    forget: () => {
      recent = createRecentIds(RECENT_IDS)
    },
    offer: (id, bytes, release) => {
      offers.push({ id, bytes, release })
      if (offers.length >= ASK_CHUNKS) flush()
    },
    flush,
    sendRest: async () => {
      await put()
      await crew.whenDone()
    },
    close: () => {
      for (const lane of lanes) lane.close()
    },
  }
}
