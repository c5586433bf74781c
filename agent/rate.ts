import type { Clock } from '../../../shared/clock.ts'

/** How far ahead of its rate it may run: less, and every chunk is a sleep of a few ms. */
const AHEAD_MS = 100

/** Waits until so many bytes may be spent; `bytesPerSecond` 0: at once. */
export function createRate(
  bytesPerSecond: number,
  clock: Clock,
  signal: AbortSignal,
): (bytes: number) => Promise<void> {
  if (bytesPerSecond <= 0) return async () => {}
  let paidUntil = Number.NEGATIVE_INFINITY
  return async bytes => {
    // Time that passed unused is not made up for.
    paidUntil = Math.max(paidUntil, clock.now() - AHEAD_MS) + (bytes * 1000) / bytesPerSecond
    const aheadMs = paidUntil - clock.now()
    if (aheadMs > AHEAD_MS) await clock.sleep(aheadMs - AHEAD_MS, signal)
    signal.throwIfAborted()
  }
}
