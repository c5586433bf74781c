import type { ChunkId } from '../vault.ts'

// Six of the 32 bytes of an id, which a number holds exactly: a quarter of the memory of its digits in a map, and no text is
// made to look one up. Ids that share them must be told apart by the rest, or cost no more than another look.

const KEY_BYTES = 6

/** Of the 32 bytes. */
export function idKey(rawId: Buffer): number {
  return rawId.readUIntBE(0, KEY_BYTES)
}

/** Of the 64 digits. */
export function idKeyOfText(id: ChunkId): number {
  return Number.parseInt(id.slice(0, 2 * KEY_BYTES), 16)
}
