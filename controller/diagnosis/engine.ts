import { diagnoseBonds } from './bond.ts'
import type { BladeEvidence, Case, Finding } from './case.ts'
import { isUnreadable } from './finding.ts'
import { diagnoseMirrors } from './mirror.ts'
import { onePerKey } from './one-per-key.ts'
import { diagnosePower, type PowerDomain, powerDomains } from './power.ts'
import { diagnoseUnreadable } from './unreadable.ts'

export interface DiagnosisOptions {
  /** Supplies a chassis cannot do without; 0: half of those at enrolment, rounded up. Default 0. */
  readonly neededSupplies?: number
  /** The open cases: what cannot be seen now is neither found anew nor taken for healed. Default none. */
  readonly open?: readonly Case[]
}

/**
 * Everything believed to be wrong with the hardware now, at most one finding a key, sorted by key. Looks at the newest
 * facts only: how long something lasts is the business of updateCases.
 */
export function diagnose(
  evidence: readonly BladeEvidence[],
  now: number,
  options: DiagnosisOptions = {},
): Finding[] {
  const domains = powerDomains(evidence, now)
  const seen = [
    ...evidence.flatMap(each => [...diagnoseMirrors(each), ...diagnoseBonds(each)]),
    ...diagnosePower(domains, options.neededSupplies ?? 0),
    ...diagnoseUnreadable(evidence, domains),
  ]
  return onePerKey([...seen, ...stillOpen(options.open ?? [], seen, evidence, domains)])
}

/**
 * A degraded mirror that becomes unreadable is still degraded as far as anybody knows. Without this its case would
 * close after the clear hold, with a message that all is well.
 */
function stillOpen(
  open: readonly Case[],
  seen: readonly Finding[],
  evidence: readonly BladeEvidence[],
  domains: readonly PowerDomain[],
): Finding[] {
  const found = new Set(seen.map(finding => finding.key))
  return open
    .filter(each => each.closedAt === 0 && !found.has(each.key) && isUnseen(each, evidence, domains))
    .map(({ key, code, severity, scope, scopeName, blades, subject, evidence: text, observedAt }) => ({
      key,
      code,
      severity,
      scope,
      scopeName,
      blades,
      subject,
      evidence: text,
      observedAt,
    }))
}

function isUnseen(each: Case, evidence: readonly BladeEvidence[], domains: readonly PowerDomain[]): boolean {
  if (each.code.startsWith('power-')) {
    const domain = domains.find(candidate => candidate.name === each.scopeName)
    return domain !== undefined && !domain.readable
  }
  const of = each.code.startsWith('mirror-') ? 'mirror' : each.code.startsWith('bond-') ? 'bond' : undefined
  if (of === undefined) return false
  // A blade that is not in the evidence was removed from the fleet, and its cases go with it.
  const blade = evidence.find(candidate => candidate.blade === each.scopeName)
  if (blade === undefined) return false
  const listed = blade.facts.some(fact => fact.kind === of && fact.name === each.subject)
  return isUnreadable(blade, of, each.subject) || (!listed && blade.complete === false)
}
