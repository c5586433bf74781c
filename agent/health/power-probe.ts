import type { Clock } from '../../shared/clock.ts'
import type { Fact } from '../../shared/domain/health.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Power, SupplyReading } from './power.ts'
import type { Probe } from './probe.ts'
import { unreadableFact } from './unreadable.ts'

/** One ipmitool process per reading, a tenth of a second of BMC time: twice a minute is plenty for a redundant part. */
const INTERVAL_MS = 30 * SECOND_MS

/**
 * Reads the power supplies of the chassis: all of them, or the fact that they cannot be read. With one left out of the
 * list it would look lost to whoever compares it with the baseline, and unreadable is not lost (rule 9).
 */
export function createPowerProbe(options: { power: Power; clock: Clock; intervalMs?: number }): Probe {
  const { power, clock, intervalMs = INTERVAL_MS } = options
  return {
    subject: 'power',
    intervalMs,
    async read() {
      const observedAt = clock.now()
      try {
        return toFacts(await power.supplies(), observedAt)
      } catch (error) {
        return [unreadableFact('power', '', observedAt, error)]
      }
    },
  }
}

function toFacts(readings: readonly SupplyReading[], observedAt: number): Fact[] {
  const supplies = readings.flatMap(({ name, state }) => (state === 'unreadable' ? [] : [{ name, state }]))
  if (supplies.length === readings.length) return [{ kind: 'power', observedAt, supplies }]
  return readings
    .filter(reading => reading.state === 'unreadable')
    .map(({ name }) => {
      const error = new LifeboatError('unavailable', `the BMC gives no reading of ${name}`)
      return unreadableFact('power', name, observedAt, error)
    })
}
