import type { Clock } from '../shared/clock.ts'

/** So a fifth of the time is worked at most. At a third, the looks of an inventory made an evacuation in the lab 4 % longer. */
const REST = 4

/**
 * Work that may run at any time: by the timer, and soon after a nudge. Never overlaps itself; nudges that come while
 * it runs cause exactly one more run, after a rest `REST` times as long as the run took: a storm of events on a slow blade
 * must not take the CPU from the VMs, nor from the moves that are the storm.
 */
export interface Loop {
  nudge(): void
  /** Ends after the run in progress. */
  stop(): Promise<void>
}

export interface LoopOptions {
  readonly clock: Clock
  /** Longest pause between two runs. */
  readonly intervalMs: number
  /** A nudge waits this long for others to join it. */
  readonly gatherMs: number
  /** Must not throw: what went wrong is the body's to tell. */
  readonly body: () => Promise<void>
}

/** Starts with a run at once. */
export function startLoop(options: LoopOptions): Loop {
  const { clock, intervalMs, gatherMs, body } = options
  const stopping = new AbortController()
  let nudged = false
  let wake: AbortController | undefined

  async function turn(): Promise<void> {
    while (!stopping.signal.aborted) {
      nudged = false
      const startedAt = clock.now()
      await body()
      const restMs = nudged ? REST * (clock.now() - startedAt) : 0
      if (stopping.signal.aborted) return
      if (!nudged) {
        wake = new AbortController()
        await clock.sleep(intervalMs, AbortSignal.any([wake.signal, stopping.signal]))
        wake = undefined
      }
      if (nudged) await clock.sleep(Math.max(gatherMs, restMs), stopping.signal)
    }
  }

  const running = turn()
  return {
    nudge: () => {
      nudged = true
      wake?.abort()
    },
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
