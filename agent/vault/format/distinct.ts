import { idKey } from './id-key.ts'
import type { ChunkIndex } from './index.ts'

/**
 * Positions of an index, each chunk once: a third of a disk may be the one zero chunk. 40 bytes a chunk, a third of what
 * a set of ids as text would take: a disk of 1 TiB has two million.
 */
export function* distinctPositions(index: ChunkIndex): Generator<number> {
  const first = new Map<number, number>()
  for (let position = 0; position < index.count; position++) {
    const id = index.rawIdAt(position)
    const key = idKey(id)
    const known = first.get(key)
    if (known === undefined) first.set(key, position)
    else if (index.rawIdAt(known).equals(id)) continue
    yield position
  }
}
