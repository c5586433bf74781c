import type { ChunkId } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { createChunkLook } from './chunk-look.ts'
import type { StoreContext } from './context.ts'
import { healChunks, quarantine } from './damage.ts'
import { MANY_UNPROVEN, type UnprovenEntry } from './unproven.ts'

const CHUNKS_AT_ONCE = 2

export interface ProofReport {
  readonly chunks: number
  readonly bad: readonly ChunkId[]
  /** False: stopped, or a backup comes in, which needs the machine more unless many wait; the next call goes on. */
  readonly finished: boolean
}

/**
 * Unpacks and hashes the unproven chunks (unproven.ts). What does not hold what its name says goes the way of any corrupt
 * chunk: a problem that names the restore points, and the next backup brings it again.
 */
export async function prove(context: StoreContext, signal: AbortSignal): Promise<ProofReport> {
  const { unproven, claims, log } = context
  const look = createChunkLook(context)
  const mustStop = (): boolean => signal.aborted || (claims.sessions > 0 && unproven.count < MANY_UNPROVEN)
  const bad: ChunkId[] = []
  let chunks = 0
  for (const batch of unproven.batches()) {
    const badHere = new Map<ChunkId, UnprovenEntry>()
    const goodHere: ChunkId[] = []
    const ids = unproven.idsOf(batch)
    // It cannot be read: a scrub hashes what it names.
    if (ids === undefined) continue
    await eachBounded(ids, CHUNKS_AT_ONCE, async id => {
      // Only what lies there when it is read is proven, not what takes its place.
      const entry = unproven.entryOf(id)
      if (entry === undefined || mustStop()) return
      chunks++
      const { verdict } = await look(id, 'sha256')
      if (verdict === 'corrupt') badHere.set(id, entry)
      else unproven.markProven(id, entry)
      if (verdict === 'good') goodHere.push(id)
    }).finally(() => healChunks(context, goodHere))
    await quarantine(context, new Set(badHere.keys()))
    for (const [id, entry] of badHere) unproven.markProven(id, entry)
    bad.push(...badHere.keys())
    if (mustStop()) return { chunks, bad, finished: false }
    unproven.drop(batch)
  }
  if (chunks > 0) log.info('unproven chunks were unpacked and hashed', { chunks, bad: bad.length })
  return { chunks, bad, finished: true }
}
