import { createPacker, type FrameLane } from '../../vault/format/frames.ts'
import type { BackupSession, ChunkId } from '../../vault/vault.ts'
import type { Crew } from './crew.ts'
import { createPool } from './pool.ts'
import { createRecentIds } from './recent-ids.ts'
import { createSlab, type Slab } from './slabs.ts'

/** Chunks asked about together: few, since their bytes wait in memory for the answer. */
const ASK_CHUNKS = 32
/** Frames sent together. */
const PUT_BYTES = 4 * 1024 * 1024
/** One is filled, one on its way, and two written by the vault. */
const SLABS = 4
/** 10 MB of memory; 16 GiB of disk in chunks of 512 KiB. */
const RECENT_IDS = 32_768

/** Brings chunks to the vault that it lacks. */
export interface Sender {
  readonly sentBytes: number
  /** Nothing is asked about or packed; what was offered since waits for a `flush`. */
  readonly isIdle: boolean
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

/** `maxBytes`: of a chunk. */
export function createSender(
  session: BackupSession,
  crew: Crew,
  { packers, maxBytes }: { readonly packers: number; readonly maxBytes: number },
): Sender {
  const lanes = Array.from({ length: packers + 1 }, () => createPacker(maxBytes))
  const lanePool = createPool<FrameLane>(lanes, crew.signal)
  const slabs = createPool<Slab>(
    Array.from({ length: SLABS }, () => createSlab(PUT_BYTES)),
    crew.signal,
  )
  let recent = createRecentIds(RECENT_IDS)
  let offers: Offer[] = []
  /** The one that is filled. */
  let slab: Slab | undefined
  let sentBytes = 0
  /** Offers that were asked about and not released. */
  let underWay = 0

  /** Whoever waits for the memory of offers that nobody asks about would wait for ever. */
  function settle(release: () => void): void {
    release()
    if (--underWay === 0) flush()
  }

  function put(full: Slab): void {
    crew.run(async () => {
      await session.put(full.chunks)
      sentBytes += full.chunks.reduce((sum, { frame }) => sum + frame.length, 0)
      full.empty()
      slabs.give(full)
    })
  }

  async function pack({ id, bytes, release }: Offer): Promise<void> {
    const lane = await lanePool.take()
    const frame = await lane.turn(bytes)
    settle(release)
    // The lane is given on only when its frame found a place: so a slow vault stops the packing.
    while (slab === undefined || !slab.add(id, frame)) {
      if (slab !== undefined) put(slab)
      slab = undefined
      const next = await slabs.take()
      // Another lane was waiting too, and came first.
      if (slab === undefined) slab = next
      else slabs.give(next)
    }
    lanePool.give(lane)
  }

  async function ask(batch: readonly Offer[]): Promise<void> {
    const missing = new Set(await session.missing(batch.map(({ id }) => id)))
    for (const offer of batch) {
      if (missing.has(offer.id)) crew.run(() => pack(offer))
      else settle(offer.release)
    }
  }

  const flush = (): void => {
    const batch = offers
    offers = []
    underWay += batch.length
    if (batch.length > 0) crew.run(() => ask(batch))
  }

  return {
    get sentBytes() {
      return sentBytes
    },
    get isIdle() {
      return underWay === 0
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
      if (slab !== undefined) put(slab)
      slab = undefined
      await crew.whenDone()
    },
    close: () => {
      for (const lane of lanes) lane.close()
    },
  }
}
