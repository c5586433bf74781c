/** Text for people: tables, ages, sizes. Pure; nothing here prints. */
import type { NPlusOne } from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes, formatDuration } from '../../shared/domain/units.ts'

export { type Column, cutToWidth, renderProgress, renderTable, renderTime } from '../../shared/terminal.ts'

/** `3 min ago`; `never` for 0. */
export function renderAge(at: number, now: number): string {
  return at === 0 ? 'never' : `${formatDuration(Math.max(0, now - at))} ago`
}

/** `1.5 GiB of 4 GiB` */
export function renderShare(usedBytes: number, totalBytes: number): string {
  return totalBytes === 0 ? '' : `${formatBytes(usedBytes)} of ${formatBytes(totalBytes)}`
}

/** A sentence: could any one blade be lost? `when` stands before it: `afterwards `. */
export function renderNPlusOne({ text }: NPlusOne, when = ''): string {
  const sentence = `${when}${text}`
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`
}

/** Lines under a heading, each indented; nothing at all when there are none. */
export function renderSection(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', heading, ...lines.map(line => `  ${line}`)]
}

/** A rebalancing is carried out as an evacuation that empties no blade; to people it is what they asked for. */
export function renderKind({ kind, from }: { readonly kind: string; readonly from: string }): string {
  return kind === 'evacuate' && from === '' ? 'rebalance' : kind
}

/** `blade01 → blade02`; with one of them only that one. */
export function renderRoute({ from, to }: { readonly from: string; readonly to: string }): string {
  if (to === '') return from
  return from === '' ? `→ ${to}` : `${from} → ${to}`
}
