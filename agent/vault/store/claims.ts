import type { ChunkId } from '../vault.ts'

/**
 * Which chunks open sessions rely on, so that collection leaves them alone: by claim, never by the age of a file, since
 * clocks jump. A chunk is claimed before the session looks whether it is there.
 *
 * The lifetime of a claim closes the gap of mark and sweep: a sweep has read the listed indexes at its beginning, and
 * a point listed since then is not among them. So the claims of a session that ends during a sweep stay until its end.
 */
export interface Claims {
  readonly sessions: number
  open(session: string): void
  claim(session: string, ids: Iterable<ChunkId>): void
  close(session: string): void
  beginSweep(): void
  endSweep(): void
  isClaimed(id: ChunkId): boolean
}

/**
 * 13 of the 64 digits fit a number exactly and take a quarter of the memory. Two chunks that share them only keep each
 * other from collection, once.
 */
const KEPT_DIGITS = 13

export function claimKey(id: ChunkId): number {
  return Number.parseInt(id.slice(0, KEPT_DIGITS), 16)
}

export function createClaims(): Claims {
  const open = new Map<string, Set<number>>()
  let sweeping = false
  let ended: Set<number>[] = []
  return {
    get sessions() {
      return open.size
    },
    open: session => {
      open.set(session, new Set())
    },
    claim: (session, ids) => {
      const mine = open.get(session)
      if (mine === undefined) return
      for (const id of ids) mine.add(claimKey(id))
    },
    close: session => {
      const mine = open.get(session)
      if (mine !== undefined && sweeping) ended.push(mine)
      open.delete(session)
    },
    beginSweep: () => {
      sweeping = true
    },
    endSweep: () => {
      sweeping = false
      ended = []
    },
    isClaimed: id => {
      const key = claimKey(id)
      for (const mine of open.values()) if (mine.has(key)) return true
      return ended.some(mine => mine.has(key))
    },
  }
}
