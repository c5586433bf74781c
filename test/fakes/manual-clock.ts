import type { Clock } from '../../shared/clock.ts'

export interface ManualClock extends Clock {
  /** Moves the time and wakes, in their order, the sleepers whose time has come. */
  advance(durationMs: number): Promise<void>
  /** How long the sleepers still wait, shortest first. */
  sleeping(): readonly number[]
}

interface Sleeper {
  readonly wakeAt: number
  readonly wake: () => void
}

/** A clock that stands still until it is moved. */
export function createManualClock(startAt = 1_700_000_000_000): ManualClock {
  let now = startAt
  let sleepers: Sleeper[] = []

  const sleep = async (durationMs: number, signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted || durationMs <= 0) return
    await new Promise<void>(resolve => {
      const sleeper = { wakeAt: now + durationMs, wake: resolve }
      sleepers.push(sleeper)
      signal?.addEventListener('abort', () => {
        sleepers = sleepers.filter(other => other !== sleeper)
        resolve()
      })
    })
  }
  const next = (limitAt: number): Sleeper | undefined =>
    sleepers.filter(({ wakeAt }) => wakeAt <= limitAt).sort((a, b) => a.wakeAt - b.wakeAt)[0]

  return {
    now: () => now,
    sleep,
    sleeping: () => sleepers.map(({ wakeAt }) => wakeAt - now).sort((a, b) => a - b),
    advance: async durationMs => {
      const limitAt = now + durationMs
      await settle()
      for (let sleeper = next(limitAt); sleeper !== undefined; sleeper = next(limitAt)) {
        now = sleeper.wakeAt
        sleepers = sleepers.filter(other => other !== sleeper)
        sleeper.wake()
        await settle()
      }
      now = limitAt
    },
  }
}

/** Lets everything run that needs no time: all promises that can resolve by themselves have done so after it. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
}

/**
 * Short waits (backoffs) are over at once and move the time; long ones (deadlines) never end by themselves. For tests
 * in which only the order of things counts.
 */
export function createHastyClock(startAt: number, patienceMs: number): Clock {
  let now = startAt
  return {
    now: () => now,
    sleep: async (durationMs, signal) => {
      if (signal?.aborted) return
      if (durationMs <= patienceMs) {
        now += Math.max(0, durationMs)
        await new Promise(resolve => setImmediate(resolve))
        return
      }
      if (signal === undefined)
        throw new Error(`a sleep of ${durationMs} ms without a signal never ends here`)
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    },
  }
}
