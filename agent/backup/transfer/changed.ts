/** Bytes from, to (not with). */
export interface ByteRange {
  readonly fromBytes: number
  readonly toBytes: number
}

/** Which chunks a disk has, and how they lie. */
export interface ChunkGrid {
  readonly sizeBytes: number
  readonly chunkBytes: number
}

export function chunkCount({ sizeBytes, chunkBytes }: ChunkGrid): number {
  return Math.ceil(sizeBytes / chunkBytes)
}

/** Bytes of that chunk; the last one may be shorter. */
export function chunkLength({ sizeBytes, chunkBytes }: ChunkGrid, position: number): number {
  return Math.min(chunkBytes, sizeBytes - position * chunkBytes)
}

/**
 * Which chunks may differ from the base: 1 for each that a range touches, or that the base does not have at the same
 * length (the disk has grown or shrunk). The base must be cut in chunks of the same size.
 */
export function planChanged(grid: ChunkGrid, ranges: readonly ByteRange[], base: ChunkGrid): Uint8Array {
  const count = chunkCount(grid)
  const touched = new Uint8Array(count)
  for (const { fromBytes, toBytes } of ranges) {
    if (toBytes <= fromBytes) continue
    const first = Math.floor(fromBytes / grid.chunkBytes)
    touched.fill(1, Math.max(0, first), Math.ceil(toBytes / grid.chunkBytes))
  }
  if (grid.sizeBytes !== base.sizeBytes) {
    // All chunks before the shorter one's end are whole in both.
    const common = Math.floor(Math.min(grid.sizeBytes, base.sizeBytes) / grid.chunkBytes)
    touched.fill(1, common)
  }
  return touched
}
