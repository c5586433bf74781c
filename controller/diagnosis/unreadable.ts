import type { BladeEvidence, Finding } from './case.ts'
import { bladeFinding } from './finding.ts'
import type { PowerDomain } from './power.ts'

/**
 * What cannot be read (rule 9: not the same as bad). Power supplies count as unreadable only when no blade of the
 * chassis can read them: one deaf BMC path of ten hides nothing.
 */
export function diagnoseUnreadable(
  evidence: readonly BladeEvidence[],
  domains: readonly PowerDomain[],
): Finding[] {
  const findings: Finding[] = []
  for (const each of evidence) {
    for (const fact of each.facts) {
      if (fact.kind !== 'unreadable' || fact.of === 'power') continue
      const subject = fact.name === '' ? `all ${fact.of}s` : fact.name
      const what = fact.name === '' ? `the list of ${fact.of}s` : `${fact.of} ${fact.name}`
      findings.push(
        bladeFinding(each.blade, 'sensor-unreadable', 'moderate', subject, {
          evidence: `${what} of ${each.blade} cannot be read: ${fact.error}`,
          observedAt: fact.observedAt,
        }),
      )
    }
  }
  for (const domain of domains) {
    if (domain.readable) continue
    // Neither expected nor ever tried: a fleet whose power nobody watches is no fault.
    if (domain.error === '' && (domain.expected.length === 0 || !domain.reported)) continue
    findings.push({
      key: `sensor-unreadable/${domain.name}/power supplies`,
      code: 'sensor-unreadable',
      severity: 'moderate',
      scope: domain.scope,
      scopeName: domain.name,
      blades: domain.blades,
      subject: 'power supplies',
      evidence: `the power supplies of ${domain.name} cannot be read by any of its blades: ${domain.error || 'no answer'}`,
      observedAt: domain.observedAt,
    })
  }
  return findings
}
