import type { Clock } from '../shared/clock.ts'

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
  let lastAt = Number.NEGATIVE_INFINITY
  return async bytes => {
    const [now, costMs] = [clock.now(), (bytes * 1000) / bytesPerSecond]
    // A clock that was set back is not waited for.
    if (now < lastAt) paidUntil = now
    lastAt = now
    // Time that passed unused is not made up for.
    paidUntil = Math.max(paidUntil, now - AHEAD_MS) + costMs
    const aheadMs = paidUntil - now
    if (aheadMs > AHEAD_MS) await clock.sleep(aheadMs - AHEAD_MS, signal)
    signal.throwIfAborted()
  }
}
