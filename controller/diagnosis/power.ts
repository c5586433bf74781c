import type { PowerFact, PowerSupplyState } from '../../shared/domain/health.ts'
import type { BladeEvidence, CaseCode, Finding, Severity } from './case.ts'

/**
 * Blades of a chassis see the same supplies, each by its own path and at its own time. A reading this much older than
 * the newest one of the chassis comes from a blade that has stopped looking. 3 min: several probe rounds and some
 * clock difference between blades.
 */
const SAME_TIME_MS = 180_000

export interface PowerDomain {
  /** The chassis; the blade itself when it belongs to none (a rack server with its own supplies). */
  readonly name: string
  readonly scope: 'chassis' | 'blade'
  readonly blades: readonly string[]
  /** By name, what the newest reading says. */
  readonly supplies: ReadonlyMap<string, PowerSupplyState>
  /** Names of all that were there at enrolment. */
  readonly expected: readonly string[]
  readonly observedAt: number
  /** At least one blade can read them now. */
  readonly readable: boolean
  /** Why the newest failed reading failed; empty when none failed. */
  readonly error: string
  /** Some blade of it has reported something, so that the absence of a reading means anything. */
  readonly reported: boolean
}

/** Groups the blades by chassis and merges what they read. Sorted by name. */
export function powerDomains(evidence: readonly BladeEvidence[], now: number): PowerDomain[] {
  const groups = new Map<string, BladeEvidence[]>()
  for (const each of evidence) {
    const key = each.chassis === '' ? `blade ${each.blade}` : `chassis ${each.chassis}`
    groups.set(key, [...(groups.get(key) ?? []), each])
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, members]) => mergeDomain(members, now))
}

function mergeDomain(members: readonly BladeEvidence[], now: number): PowerDomain {
  // A blade whose clock is ahead must not make everybody else look old.
  const seenAt = (fact: { observedAt: number }) => Math.min(fact.observedAt, now)
  const facts = members.flatMap(member => member.facts)
  const readings = facts.filter(fact => fact.kind === 'power')
  const failed = facts.filter(fact => fact.kind === 'unreadable' && fact.of === 'power')
  const newestAt = Math.max(0, ...readings.map(seenAt), ...failed.map(seenAt))
  const current = readings.filter(fact => seenAt(fact) >= newestAt - SAME_TIME_MS)
  const oldestFirst = current.toSorted((a, b) => seenAt(a) - seenAt(b))
  const supplies = new Map<string, PowerSupplyState>()
  for (const fact of oldestFirst) for (const supply of fact.supplies) supplies.set(supply.name, supply.state)
  const newestFailure = failed.toSorted((a, b) => seenAt(b) - seenAt(a))[0]
  const first = members[0]
  const chassis = first?.chassis ?? ''
  return {
    name: chassis === '' ? (first?.blade ?? '') : chassis,
    scope: chassis === '' ? 'blade' : 'chassis',
    blades: members.map(member => member.blade).sort(),
    supplies,
    expected: expectedSupplies(members, oldestFirst),
    observedAt: newestAt,
    readable: current.length > 0,
    error: newestFailure?.kind === 'unreadable' ? newestFailure.error : '',
    reported: members.some(member => member.facts.length > 0 && member.complete !== false),
  }
}

function expectedSupplies(members: readonly BladeEvidence[], readings: readonly PowerFact[]): string[] {
  const names = new Set(members.flatMap(member => member.baseline?.supplies ?? []))
  // Without any baseline a supply that is listed and not an empty bay is meant to be there.
  if (members.every(member => member.baseline === undefined)) {
    for (const fact of readings) {
      for (const supply of fact.supplies) if (supply.state !== 'absent') names.add(supply.name)
    }
  }
  return [...names].sort()
}

/** One finding for each chassis, however many blades see it. `neededSupplies` 0: half of the expected, rounded up. */
export function diagnosePower(domains: readonly PowerDomain[], neededSupplies: number): Finding[] {
  return domains.flatMap(domain => (domain.readable ? diagnoseDomain(domain, neededSupplies) : []))
}

function diagnoseDomain(domain: PowerDomain, neededSupplies: number): Finding[] {
  const stateOf = (name: string): PowerSupplyState => domain.supplies.get(name) ?? 'absent'
  // A supply that foretells its failure still delivers.
  const lost = domain.expected.filter(name => !['ok', 'predictive-failure'].includes(stateOf(name)))
  const failing = domain.expected.filter(name => stateOf(name) === 'predictive-failure')
  const total = domain.expected.length
  const working = total - lost.length
  const needed = neededSupplies > 0 ? neededSupplies : Math.ceil(total / 2)
  const findings: Finding[] = []
  const add = (code: CaseCode, severity: Severity, names: readonly string[], evidence: string) =>
    findings.push({
      key: `${code}/${domain.name}`,
      code,
      severity,
      scope: domain.scope,
      scopeName: domain.name,
      blades: domain.blades,
      subject: names.join(', '),
      evidence,
      observedAt: domain.observedAt,
    })
  if (lost.length > 0) {
    const states = lost.map(name => `${name} ${WORDS[stateOf(name)]}`).join(', ')
    const text = `${states}; ${working} of ${total} power supplies work, ${needed} needed`
    add('power-degraded', 'moderate', lost, text)
    if (working < needed) add('power-insufficient', 'severe', lost, text)
  }
  if (failing.length > 0) {
    const text = `${failing.join(', ')} ${failing.length === 1 ? 'foretells its' : 'foretell their'} failure; all it feeds still runs`
    add('power-predictive-failure', 'moderate', failing, text)
  }
  return findings
}

const WORDS: Readonly<Record<PowerSupplyState, string>> = {
  ok: 'works',
  failed: 'failed',
  'ac-lost': 'has lost its mains',
  'predictive-failure': 'foretells its failure',
  absent: 'is not there',
}
