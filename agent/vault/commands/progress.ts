import type { Clock } from '../../../shared/clock.ts'
import { formatDuration, SECOND_MS } from '../../../shared/domain/units.ts'
import { cutToWidth, renderBar, renderProgress } from '../../../shared/terminal.ts'

/** What is over before this needs no bar. */
const SILENT_MS = 2 * SECOND_MS
/** Where the line cannot be rewritten: in a log. */
const LOG_EVERY_MS = 10 * SECOND_MS
const REDRAW_EVERY_MS = 200

export interface ProgressOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** What is counted. */
export type Counted = 'bytes' | 'folders'

export interface Progress {
  tell(what: string, done: number, total: number, counted?: Counted): void
  /** Takes the line away, before anything else is printed. */
  clear(): void
}

/** A bar with the time left, of each piece of work that takes longer than two seconds. */
export function createProgress(output: ProgressOutput, clock: Clock): Progress {
  let what = ''
  let beganAt = 0
  let shownAt = 0
  let isShown = false
  const clear = (): void => {
    if (isShown && output.isTTY === true) output.write('\r\u001b[K')
    isShown = false
  }
  return {
    clear,
    tell: (next, done, total, counted = 'bytes') => {
      const now = clock.now()
      if (next !== what) {
        what = next
        beganAt = now
        shownAt = 0
      }
      const every = output.isTTY === true ? REDRAW_EVERY_MS : LOG_EVERY_MS
      if (now - beganAt < SILENT_MS || now - shownAt < every) return
      shownAt = now
      const leftMs = done > 0 ? ((now - beganAt) / done) * (total - done) : 0
      const bar = counted === 'bytes' ? renderProgress(done, total) : renderBar(done, total)
      const text = `${what} ${bar}, ${formatDuration(leftMs)} left`
      if (output.isTTY !== true) {
        output.write(`${text}\n`)
        return
      }
      output.write(`\r\u001b[K${cutToWidth(text, output.columns ?? 80)}`)
      isShown = true
    },
  }
}
