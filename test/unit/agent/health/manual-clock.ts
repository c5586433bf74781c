import type { Clock } from '../../../../shared/clock.ts'

export interface ManualClock extends Clock {
  /** Moves time on, waking each sleeper at its own moment, and lets everything that follows from it happen. */
  advance(durationMs: number): Promise<void>
}

/** Time stands still until a test moves it. */
export function createManualClock(startAt = 1_700_000_000_000): ManualClock {
  let now = startAt
  let sleepers: { readonly at: number; readonly wake: () => void }[] = []
  const settle = async () => {
    // Long enough for any chain of promises between two sleeps; nothing here waits for real time.
    for (let turn = 0; turn < 200; turn += 1) await Promise.resolve()
  }
  return {
    now: () => now,
    sleep: (durationMs, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        sleepers.push({ at: now + durationMs, wake: resolve })
        signal?.addEventListener('abort', () => resolve(), { once: true })
      }),
    async advance(durationMs) {
      const end = now + durationMs
      await settle()
      for (;;) {
        const next = sleepers.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > end) break
        sleepers = sleepers.filter(sleeper => sleeper !== next)
        now = Math.max(now, next.at)
        next.wake()
        await settle()
      }
      now = end
    },
  }
}
