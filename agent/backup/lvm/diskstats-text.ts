const SECTOR_BYTES = 512

/** Bytes written since boot by device name, from /proc/diskstats (its tenth column counts sectors of 512 bytes). */
export function parseWrittenBytes(text: string): Map<string, number> {
  const written = new Map<string, number>()
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/)
    const sectors = Number(words[9])
    if (words[2] !== undefined && Number.isFinite(sectors)) written.set(words[2], sectors * SECTOR_BYTES)
  }
  return written
}

/** Seconds since boot, from /proc/uptime; at least 1. */
export function parseUptimeSeconds(text: string): number {
  const seconds = Number(text.trim().split(' ')[0])
  return Number.isFinite(seconds) ? Math.max(1, seconds) : 1
}
