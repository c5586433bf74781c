import { readFileSync } from 'node:fs'
import type { Clock } from '../../../../shared/clock.ts'

/** Recorded text of virsh; test/golden/virsh/README.md says where each file comes from. */
export function golden(name: string): string {
  return readFileSync(new URL(`../../../golden/virsh/${name}`, import.meta.url), 'utf8')
}

/** The answers of a recorded batch, one by one. */
export function goldenSections(name: string): readonly string[] {
  return golden(name).split(/^lifeboat-section\n+/m)
}

export interface ManualClock extends Clock {
  /** Moves the time and wakes, in order, whoever has slept long enough. */
  advance(durationMs: number): Promise<void>
}

/** Time stands still until the test moves it. */
export function createManualClock(): ManualClock {
  let now = 1_000_000
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>()
  /** Long enough for chains of promises between two sleeps. */
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }
  return {
    now: () => now,
    sleep: (durationMs, signal) => {
      if (signal?.aborted) return Promise.resolve()
      return new Promise(resolve => {
        const sleeper = {
          until: now + durationMs,
          wake: () => {
            sleepers.delete(sleeper)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', sleeper.wake, { once: true })
      })
    },
    advance: async durationMs => {
      const end = now + durationMs
      await settle()
      for (;;) {
        const next = [...sleepers]
          .filter(({ until }) => until <= end)
          .toSorted((a, b) => a.until - b.until)[0]
        if (next === undefined) break
        now = next.until
        next.wake()
        await settle()
      }
      now = end
    },
  }
}

/** Each sleep is over at once and moves the time: for code that waits for something that comes without us. */
export function createSteppingClock(): Clock {
  let now = 1_000_000
  return {
    now: () => now,
    sleep: async (durationMs, signal) => {
      await new Promise(resolve => setImmediate(resolve))
      if (signal?.aborted !== true) now += durationMs
    },
  }
}
