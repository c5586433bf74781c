import { type Clock, systemClock } from '../../shared/clock.ts'

export interface LeapingClock extends Clock {
  /** So much time has passed all at once: whoever sleeps until then wakes. */
  leap(durationMs: number): void
}

/**
 * The real clock, with leaps. For stories in which real work (a process, a connection) is to happen at an hour of its
 * own: between the leaps its time limits are the real ones, however slow the machine is.
 */
export function createLeapingClock(): LeapingClock {
  let leaptMs = 0
  let leapt = new AbortController()
  const now = (): number => systemClock.now() + leaptMs

  return {
    now,
    sleep: async (durationMs, signal) => {
      const wakeAt = now() + durationMs
      for (let leftMs = durationMs; leftMs > 0 && !signal?.aborted; leftMs = wakeAt - now())
        await systemClock.sleep(leftMs, AbortSignal.any(signal ? [signal, leapt.signal] : [leapt.signal]))
    },
    leap: durationMs => {
      leaptMs += durationMs
      leapt.abort()
      leapt = new AbortController()
    },
  }
}
