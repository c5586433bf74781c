import type { ChunkId } from '../../vault/vault.ts'

/**
 * The chunks a backup lately asked the vault about. Forgets the older ones, so that its memory does not grow with the
 * disk; asking again is harmless.
 */
export interface RecentIds {
  /** True when it is new. */
  add(id: ChunkId): boolean
}

export function createRecentIds(limit: number): RecentIds {
  let older = new Set<ChunkId>()
  let newer = new Set<ChunkId>()
  return {
    add: id => {
      if (newer.has(id)) return false
      const isNew = !older.has(id)
      newer.add(id)
      if (newer.size >= limit) {
        older = newer
        newer = new Set()
      }
      return isNew
    },
  }
}
