/** Sizes are plain numbers in bytes, durations in milliseconds; the names of fields carry the unit. The functions write them for people. */

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS

const SIZE_STEPS = [
  { unit: 'TiB', bytes: 1024 * GIB },
  { unit: 'GiB', bytes: GIB },
  { unit: 'MiB', bytes: MIB },
  { unit: 'KiB', bytes: KIB },
] as const

/** `1610612736` → `1.5 GiB`; whole numbers lose the fraction. */
export function formatBytes(bytes: number): string {
  for (const step of SIZE_STEPS) {
    if (Math.abs(bytes) >= step.bytes) {
      const value = bytes / step.bytes
      return `${Number.isInteger(value) ? value : value.toFixed(1)} ${step.unit}`
    }
  }
  return `${bytes} B`
}

/** `65000` → `1 min 5 s`; `420` → `420 ms`. Two units at most. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs))
  if (ms < SECOND_MS) return `${ms} ms`
  if (ms < 10 * SECOND_MS && ms % SECOND_MS !== 0) return `${(ms / SECOND_MS).toFixed(1)} s`
  const seconds = Math.floor(ms / SECOND_MS)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** `1 disk`, `2 disks`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** `2026-03-01 02:14:07 UTC`. UTC, since the one who reads it may sit in another time zone than the host that wrote it. */
export function utcTime(at: number): string {
  return `${utcStamp(at)} UTC`
}

/** The same without the zone, to stand before a line of a story. */
export function utcStamp(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ')
}
