import { KIB } from '../../shared/domain/units.ts'

/**
 * Size of the chunks of a disk. INVARIANT: never changes for a disk, or the next night finds nothing of it in the vault.
 * 512 KiB was the best of 64 KiB to 4 MiB by CPU and by bytes kept after a changed night.
 */
export const CHUNK_BYTES = 512 * KIB
