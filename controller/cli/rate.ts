import { formatBytes, formatDuration, SECOND_MS } from '../../shared/domain/units.ts'

/** Shorter work needs no forecast, and its first seconds would tell nonsense. */
const QUIET_MS = 2 * SECOND_MS
/** What the last seconds moved says more of the next ones than the whole: copies begin with holes. */
const WINDOW_MS = 10 * SECOND_MS

/** `12.5 MiB/s, 40 s left` of one piece of work whose progress is told bit by bit. */
export interface RateMeter {
  /** Empty in the first seconds, and while nothing can be said. `now` in epoch ms. */
  tell(now: number, doneBytes: number, totalBytes: number): string
}

/** Remembers the last ten seconds. */
export function createRateMeter(): RateMeter {
  let samples: { readonly at: number; readonly doneBytes: number }[] = []
  let startedAt: number | undefined
  return {
    tell(now, doneBytes, totalBytes) {
      const last = samples.at(-1)
      // A step that counts anew, or the way back of an abort.
      if (last !== undefined && doneBytes < last.doneBytes) {
        samples = []
        startedAt = undefined
      }
      startedAt ??= now
      samples.push({ at: now, doneBytes })
      while (samples.length > 2 && now - (samples[1]?.at ?? now) > WINDOW_MS) samples.shift()
      const first = samples[0] ?? { at: now, doneBytes }
      const movedBytes = doneBytes - first.doneBytes
      if (now - startedAt < QUIET_MS || movedBytes <= 0 || now === first.at) return ''
      const bytesPerSecond = (movedBytes * SECOND_MS) / (now - first.at)
      const leftBytes = totalBytes - doneBytes
      const left =
        leftBytes > 0
          ? `, ${formatDuration(wholeSeconds((leftBytes / bytesPerSecond) * SECOND_MS))} left`
          : ''
      return `${formatBytes(Math.round(bytesPerSecond))}/s${left}`
    },
  }
}

function wholeSeconds(durationMs: number): number {
  return Math.ceil(durationMs / SECOND_MS) * SECOND_MS
}
