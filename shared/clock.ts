import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** The only doors to time and chance. Tests inject their own. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number
  /** Resolves after the time, or early (without an error) when the signal aborts. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>
}

export interface IdSource {
  /** A new unique id, UUID form. */
  next(): string
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (durationMs, signal) => {
    try {
      await delay(durationMs, undefined, { signal, ref: true })
    } catch (error) {
      if (!signal?.aborted) throw error
    }
  },
}

export const randomIds: IdSource = { next: () => randomUUID() }
