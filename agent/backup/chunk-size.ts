import { KIB } from '../../shared/domain/units.ts'

/** The best of 64 KiB to 4 MiB by CPU and by bytes kept after a changed night. */
const USUAL_BYTES = 512 * KIB
/** 2 TiB in the usual size. An index is sent, and held in memory, whole: 40 bytes for each chunk. */
const MOST_CHUNKS = 4 * 1024 * 1024

/**
 * Size of the chunks of a disk, by the size of the disk alone. INVARIANT: never changes for a disk that stays as it is, or the
 * next night finds nothing of it in the vault; one that grows past 2 TiB is sent whole once.
 */
export function usualChunkBytes(sizeBytes: number): number {
  let chunkBytes = USUAL_BYTES
  while (Math.ceil(sizeBytes / chunkBytes) > MOST_CHUNKS) chunkBytes *= 2
  return chunkBytes
}
