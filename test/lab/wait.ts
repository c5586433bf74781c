import { setTimeout as sleep } from 'node:timers/promises'
import { LabError } from './errors.ts'

/**
 * Polls until `look` returns something other than undefined or false, and returns that.
 * A look that throws counts as "not yet"; its last error becomes the cause when the limit is reached.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs: number,
  everyMs = 250,
): Promise<T> {
  const deadlineAt = Date.now() + timeoutMs
  let cause: unknown
  for (;;) {
    try {
      const seen = await look()
      if (seen !== undefined && seen !== false) return seen
      cause = undefined
    } catch (error) {
      // The host has died: no later look can succeed, so the limit need not be waited for.
      if (error instanceof HostDied) throw error
      cause = error
    }
    if (Date.now() >= deadlineAt) {
      throw new LabError(`${what}: not within ${Math.round(timeoutMs / 1000)} s`, { cause })
    }
    await sleep(everyMs)
  }
}

/** Thrown by a look when its host's process has ended; ends the wait at once. */
export class HostDied extends LabError {
  constructor(host: string) {
    super(`${host} has died`)
    this.name = 'HostDied'
  }
}
