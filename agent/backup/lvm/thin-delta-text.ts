import { LifeboatError } from '../../../shared/errors.ts'
import type { ChangedRanges } from '../snapshots.ts'

const SECTOR_BYTES = 512

/**
 * What `thin_delta` prints: which blocks of two thin volumes are mapped differently. `different`, `right_only` (new) and
 * `left_only` (discarded: reads zero now) have changed, `same` has not. Neighbours are joined, the last one is cut at
 * the size of the volume. Throws `bad-tool-output` when it is cut off.
 */
export function parseThinDelta(xml: string, sizeBytes: number): ChangedRanges['ranges'] {
  const blockSectors = Number(/<superblock [^>]*data_block_size="(\d+)"/.exec(xml)?.[1])
  if (!(blockSectors > 0) || !/<\/superblock>\s*$/.test(xml) || !/<diff [^>]*\/?>/.test(xml)) {
    throw new LifeboatError('bad-tool-output', 'thin_delta printed no whole difference (cut off?)')
  }
  const blockBytes = blockSectors * SECTOR_BYTES
  const ranges: { fromBytes: number; toBytes: number }[] = []
  for (const match of xml.matchAll(/<(different|left_only|right_only) begin="(\d+)"[^>]*length="(\d+)"/g)) {
    const fromBytes = Number(match[2]) * blockBytes
    const toBytes = Math.min(sizeBytes, fromBytes + Number(match[3]) * blockBytes)
    const last = ranges.at(-1)
    if (fromBytes < (last?.toBytes ?? 0)) {
      throw new LifeboatError('bad-tool-output', `thin_delta is not in order at byte ${fromBytes}`)
    }
    if (fromBytes >= toBytes) continue
    if (last !== undefined && last.toBytes === fromBytes) last.toBytes = toBytes
    else ranges.push({ fromBytes, toBytes })
  }
  return ranges
}

/** Has the pool a metadata snapshot already? From `dmsetup status` of a thin pool, whose seventh field is its root. */
export function holdsMetadataSnapshot(status: string): boolean {
  const fields = status.trim().split(/\s+/)
  const at = fields.indexOf('thin-pool')
  return at >= 0 && /^\d+$/.test(fields[at + 4] ?? '')
}
