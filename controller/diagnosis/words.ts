import type { Finding } from './case.ts'

/** `1 disk`, `2 disks`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** `blade03`, `chassis1`, `vault depot`, `the fleet`. */
export function where(finding: Pick<Finding, 'scope' | 'scopeName'>): string {
  if (finding.scope === 'vault') return `vault ${finding.scopeName}`
  return finding.scopeName === '' ? 'the fleet' : finding.scopeName
}

/** `2026-03-01 02:14:07 UTC`. UTC, since the one who reads it may sit in another time zone than the controller. */
export function utcTime(at: number): string {
  return `${utcStamp(at)} UTC`
}

/** The same without the zone, to stand before a line of a story. */
export function utcStamp(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ')
}

/** The evidence without the percents of a rebuild, which move by themselves: two texts alike say the same. */
export function withoutPercent(text: string): string {
  return text.replace(/\d+ %/g, '%')
}
