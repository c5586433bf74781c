import type { BladeReport } from '../../shared/domain/fleet.ts'
import { substanceOf as substanceOfFacts } from '../health/probes.ts'

/**
 * What of a report is worth telling at once; the rest waits for the interval. Left out is what moves by itself:
 * times, the progress of a resync, and how full a thin volume is.
 */
export function substanceOfReport(report: BladeReport): string {
  const facts = substanceOfFacts(report.facts)
  const vms = report.vms.map(vm => ({
    ...vm,
    volumes: vm.volumes.map(volume => ({ ...volume, allocatedBytes: 0 })),
  }))
  const pools = report.capacity.pools.map(pool => ({ ...pool, freeBytes: 0 }))
  return JSON.stringify({ facts, vms, capacity: { ...report.capacity, pools }, complete: report.complete })
}
