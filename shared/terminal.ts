/** Text for people at a terminal, of every program: tables, times, progress. Pure; nothing here prints. */
import { formatBytes } from './domain/units.ts'

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string
  readonly align?: 'right'
}

/** Columns two spaces apart; the last one is not padded. `empty` stands for a table without rows. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): string {
  if (rows.length === 0) return empty
  const lines = [
    columns.map(column => column.title),
    ...rows.map(row => columns.map(column => column.value(row) || '-')),
  ]
  const widths = columns.map((_, index) => Math.max(...lines.map(line => (line[index] ?? '').length)))
  return lines
    .map(line =>
      line
        .map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.align))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function pad(cell: string, width: number, align: 'right' | undefined): string {
  return align === 'right' ? cell.padStart(width) : cell.padEnd(width)
}

/** Local date and time to the second; empty for 0. */
export function renderTime(at: number): string {
  if (at === 0) return ''
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `[#####-----] 52 % 33 MiB of 64 MiB`; empty without a total. */
export function renderProgress(doneBytes: number, totalBytes: number): string {
  if (totalBytes <= 0) return ''
  return `${renderBar(doneBytes, totalBytes)} ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`
}

/** `[#####-----] 52 %`, of whatever is counted; empty without a total. */
export function renderBar(done: number, total: number): string {
  if (total <= 0) return ''
  const share = Math.min(1, done / total)
  const filled = Math.round(share * 20)
  return `[${'#'.repeat(filled)}${'-'.repeat(20 - filled)}] ${Math.round(share * 100)} %`
}

/** Fits one row of a terminal of that many columns; what does not fit ends in `…`. */
export function cutToWidth(text: string, columns: number): string {
  // The last column stays free: some terminals wrap as soon as it is written.
  return text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`
}
