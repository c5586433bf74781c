import type { Clock } from '../../../shared/clock.ts'
import { SECOND_MS } from '../../../shared/domain/units.ts'
import type { HostFiles } from '../../health/host-files.ts'
import { parseUptimeSeconds, parseWrittenBytes } from './diskstats-text.ts'

/** Shorter spans say little of a night. */
const SHORTEST_SPAN_MS = 60 * SECOND_MS

/** How fast volumes are written, measured from one plan to the next. */
export interface WriteRates {
  /** Bytes a second for each device name (`dm-3`): the higher of the average since boot and that since the last look. */
  look(): Promise<(device: string) => number>
}

export function createWriteRates(files: HostFiles, clock: Clock): WriteRates {
  let before: { readonly at: number; readonly written: Map<string, number> } | undefined
  return {
    async look() {
      const written = parseWrittenBytes(await files.read('/proc/diskstats'))
      const uptimeSeconds = parseUptimeSeconds(await files.read('/proc/uptime'))
      const [earlier, at] = [before, clock.now()]
      if (earlier === undefined || at - earlier.at >= SHORTEST_SPAN_MS) before = { at, written }
      return device => {
        const now = written.get(device) ?? 0
        const sinceBoot = now / uptimeSeconds
        const then = earlier?.written.get(device)
        // A counter that fell belongs to a device made anew.
        if (earlier === undefined || then === undefined || then > now) return sinceBoot
        const spanMs = at - earlier.at
        return spanMs < SHORTEST_SPAN_MS ? sinceBoot : Math.max(sinceBoot, ((now - then) * 1000) / spanMs)
      }
    },
  }
}
