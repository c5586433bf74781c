import { type Clock, systemClock } from '../../shared/clock.ts'

/**
 * A clock that runs `factor` times as fast as the real one, from now on: holds, intervals and limits keep their
 * proportions, so that a story of minutes plays in seconds without other settings than the real ones.
 */
export function createScaledClock(factor: number): Clock {
  const startedAt = systemClock.now()
  return {
    now: () => Math.floor(startedAt + (systemClock.now() - startedAt) * factor),
    sleep: (durationMs, signal) => systemClock.sleep(durationMs / factor, signal),
  }
}
