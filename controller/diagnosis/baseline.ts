import type { Fact } from '../../shared/domain/health.ts'
import type { Baseline } from './case.ts'

/**
 * What the blade must have from now on (taken at the first complete report, or when a person says so). A part that is
 * listed but broken belongs to it: the blade is meant to have it. An empty bay does not.
 */
export function baselineOf(facts: readonly Fact[], now: number): Baseline {
  const mirrors: Baseline['mirrors'][number][] = []
  const bonds: Baseline['bonds'][number][] = []
  const supplies = new Set<string>()
  for (const fact of facts) {
    if (fact.kind === 'mirror') {
      const parts = fact.members.filter(member => member.state !== 'spare' && member.device !== '')
      mirrors.push({ name: fact.name, devices: parts.map(member => member.device).sort() })
    } else if (fact.kind === 'bond') {
      const nics = fact.members.map(member => member.nic).sort()
      const speedMbps = Math.max(0, ...fact.members.filter(up => up.link === 'up').map(up => up.speedMbps))
      bonds.push({ name: fact.name, nics, speedMbps })
    } else if (fact.kind === 'power') {
      for (const supply of fact.supplies) if (supply.state !== 'absent') supplies.add(supply.name)
    }
  }
  return {
    takenAt: now,
    mirrors: mirrors.sort((a, b) => (a.name < b.name ? -1 : 1)),
    bonds: bonds.sort((a, b) => (a.name < b.name ? -1 : 1)),
    supplies: [...supplies].sort(),
  }
}
