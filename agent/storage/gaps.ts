export interface ByteRange {
  readonly fromBytes: number
  readonly toBytes: number
}

/**
 * What a range left out of a copy reads as on a fresh target:
 * - `zero`: files and thin volumes of a pool that zeroes new chunks. Nothing to do.
 * - `chunks`: thin volumes of a pool that does not. A chunk never touched reads zero, but the first write into a chunk
 *   maps a whole one, with old bytes of the disk in the rest of it.
 * - `old-bytes`: thick LVs. LVM clears the first sectors only; the rest is whatever the disk held.
 */
export type Unwritten =
  | { readonly kind: 'zero' }
  | { readonly kind: 'chunks'; readonly chunkBytes: number }
  | { readonly kind: 'old-bytes' }

/**
 * The parts of a gap between two extents that must be written with zeroes (pure). An old block showing through
 * where the source has zeroes would be silent corruption of the guest's disk.
 */
export function rangesToZero(gap: ByteRange, unwritten: Unwritten): ByteRange[] {
  const { fromBytes, toBytes } = gap
  if (fromBytes >= toBytes || unwritten.kind === 'zero') return []
  if (unwritten.kind === 'old-bytes') return [gap]
  const { chunkBytes } = unwritten
  // The chunks at both ends are shared with an extent; those wholly inside the gap stay unmapped.
  const firstWhole = Math.ceil(fromBytes / chunkBytes) * chunkBytes
  const lastWhole = Math.floor(toBytes / chunkBytes) * chunkBytes
  if (firstWhole >= lastWhole) return [gap]
  return [
    { fromBytes, toBytes: firstWhole },
    { fromBytes: lastWhole, toBytes },
  ].filter(range => range.fromBytes < range.toBytes)
}
