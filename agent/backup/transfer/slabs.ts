import type { Chunk, ChunkId } from '../../vault/vault.ts'

/**
 * Frames on their way, copied one after the other into a buffer that is used again when they have arrived: copying a
 * frame costs less than collecting its own buffer later, and memory is bounded by the number of slabs.
 */
export interface Slab {
  readonly chunks: readonly Chunk[]
  /** False when it has no room for it. A frame larger than a whole slab is taken alone. */
  add(id: ChunkId, frame: Buffer): boolean
  /** For its next use. */
  empty(): void
}

export function createSlab(bytes: number): Slab {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  let chunks: Chunk[] = []
  let filled = 0
  return {
    get chunks() {
      return chunks
    },
    add: (id, frame) => {
      if (filled + frame.length > bytes) {
        if (chunks.length > 0) return false
        chunks.push({ id, frame: Buffer.from(frame) })
        filled = bytes
        return true
      }
      frame.copy(buffer, filled)
      chunks.push({ id, frame: buffer.subarray(filled, filled + frame.length) })
      filled += frame.length
      return true
    },
    empty: () => {
      chunks = []
      filled = 0
    },
  }
}
