import { hash } from 'node:crypto'
import { createAlignedBuffers } from '../../vault/format/aligned.ts'
import type { ChunkIndex } from '../../vault/format/index.ts'
import type { ChunkId } from '../../vault/vault.ts'

/** Chunks of zeroes are known by their id, without a look at their bytes: those of the largest and the last length. */
export function createZeroes(index: ChunkIndex) {
  const [zeroes = Buffer.alloc(0)] = createAlignedBuffers(index.maxChunkBytes, 1)
  const lengths = [index.maxChunkBytes]
  if (index.count > 0) lengths.push(index.sizeBytes - index.startAt(index.count - 1))
  const ids = new Map(lengths.map(length => [length, hash(index.digest, zeroes.subarray(0, length), 'hex')]))
  return {
    isZero: (id: ChunkId, length: number): boolean => ids.get(length) === id,
    bytes: (length: number): Buffer => zeroes.subarray(0, length),
  }
}
