import type { BondFact } from '../../shared/domain/health.ts'
import { plural } from '../../shared/domain/units.ts'
import type { Baseline, BladeEvidence, CaseCode, Finding, Severity } from './case.ts'
import { bladeFinding, isUnreadable } from './finding.ts'

/** Bonds of one blade against its baseline. A lost link is moderate: the VMs still talk over the other one. */
export function diagnoseBonds(evidence: BladeEvidence): Finding[] {
  const facts = evidence.facts.filter(fact => fact.kind === 'bond')
  const findings = facts.flatMap(fact =>
    diagnoseBond(
      evidence.blade,
      fact,
      evidence.baseline?.bonds.find(bond => bond.name === fact.name),
    ),
  )
  for (const bond of evidence.baseline?.bonds ?? []) {
    if (facts.some(fact => fact.name === bond.name)) continue
    if (evidence.complete === false || isUnreadable(evidence, 'bond', bond.name)) continue
    findings.push(
      bladeFinding(evidence.blade, 'bond-missing', 'moderate', bond.name, {
        evidence: `${bond.name} of ${bond.nics.join(', ')} is not there any more`,
        observedAt: Math.max(0, ...facts.map(fact => fact.observedAt)),
      }),
    )
  }
  return findings
}

function diagnoseBond(
  blade: string,
  fact: BondFact,
  baseline: Baseline['bonds'][number] | undefined,
): Finding[] {
  const finding = (code: CaseCode, severity: Severity, evidence: string): Finding =>
    bladeFinding(blade, code, severity, fact.name, { evidence, observedAt: fact.observedAt })
  const up = fact.members.filter(member => member.link === 'up')
  const known = baseline?.nics ?? fact.members.map(member => member.nic)
  // Counted, not matched by name: a replaced NIC may come back under another name and is no loss.
  if (up.length < known.length) {
    const down = known.filter(nic => !up.some(member => member.nic === nic))
    const links = plural(known.length, 'link')
    if (up.length === 0) {
      return [
        finding('bond-down', 'severe', `${fact.name} has no link left of ${links}: ${down.join(', ')} down`),
      ]
    }
    const left = up.map(member => member.nic).join(', ')
    const text = `${down.join(', ')} of ${fact.name} is down, ${up.length} of ${links} left: ${left}`
    // The switch bundles fewer ports as well, but that follows from the lost link and is no second case.
    return [finding('bond-member-down', 'moderate', text)]
  }
  const findings: Finding[] = []
  const short = up.filter(member => member.partner === 'short').map(member => member.nic)
  if (short.length > 0) {
    const text = `all links of ${fact.name} are up, but the switch does not bundle ${short.join(', ')}`
    findings.push(finding('bond-partner-short', 'moderate', text))
  }
  // 0 and below: the driver does not say; that is not slow.
  const slow = up.filter(member => member.speedMbps > 0 && member.speedMbps < (baseline?.speedMbps ?? 0))
  if (slow.length > 0) {
    const speeds = slow.map(member => `${member.nic} runs at ${member.speedMbps} Mbit/s`).join(', ')
    const text = `${speeds} in ${fact.name}, ${baseline?.speedMbps} at enrolment`
    findings.push(finding('bond-slow', 'moderate', text))
  }
  return findings
}
