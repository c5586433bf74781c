import type { Clock } from '../../shared/clock.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import type { Power } from './power.ts'
import type { Probe } from './probe.ts'
import { unreadableFact } from './unreadable.ts'

/** One ipmitool process per reading, a tenth of a second of BMC time: twice a minute is plenty for a redundant part. */
const INTERVAL_MS = 30 * SECOND_MS

/** Reads the power supplies of the chassis: all of them, or the fact that they cannot be read. */
export function createPowerProbe(options: { power: Power; clock: Clock; intervalMs?: number }): Probe {
  const { power, clock, intervalMs = INTERVAL_MS } = options
  return {
    subject: 'power',
    intervalMs,
    async read() {
      const observedAt = clock.now()
      try {
        const supplies = await power.supplies()
        return [{ kind: 'power', observedAt, supplies: supplies.map(({ name, state }) => ({ name, state })) }]
      } catch (error) {
        return [unreadableFact('power', '', observedAt, error)]
      }
    },
  }
}
