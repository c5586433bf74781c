import type { ChunkId } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { createChunkLook } from './chunk-look.ts'
import type { StoreContext } from './context.ts'
import { healChunks, quarantine } from './damage.ts'

const CHUNKS_AT_ONCE = 2

export interface ProofReport {
  readonly chunks: number
  readonly bad: readonly ChunkId[]
  /** False: stopped, or a backup comes in, which needs the machine more; the next call goes on. */
  readonly finished: boolean
}

/**
 * Unpacks and hashes what came in and was not looked at then (unproven.ts). What does not hold what its name says goes the
 * way of any corrupt chunk: a problem that names the restore points, and the next backup brings it again.
 */
export async function prove(context: StoreContext, signal: AbortSignal): Promise<ProofReport> {
  const { unproven, claims, log } = context
  const look = createChunkLook(context)
  const mustStop = (): boolean => signal.aborted || claims.sessions > 0
  const bad: ChunkId[] = []
  let chunks = 0
  for (const list of unproven.lists()) {
    const badHere = new Set<ChunkId>()
    const goodHere: ChunkId[] = []
    await eachBounded(unproven.idsOf(list), CHUNKS_AT_ONCE, async id => {
      // What lies there when it is read is what is proven, and nothing that comes after.
      const mark = unproven.mark(id)
      if (mark === undefined || mustStop()) return
      chunks++
      const { verdict } = await look(id, 'sha256')
      if (verdict === 'corrupt') badHere.add(id)
      else unproven.settle(id, mark)
      if (verdict === 'good') goodHere.push(id)
    })
    healChunks(context, goodHere)
    await quarantine(context, badHere)
    for (const id of badHere) unproven.settle(id)
    bad.push(...badHere)
    if (mustStop()) return { chunks, bad, finished: false }
    unproven.drop(list)
  }
  if (chunks > 0) log.info('what came in was unpacked and hashed', { chunks, bad: bad.length })
  return { chunks, bad, finished: true }
}
