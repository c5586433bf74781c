import type { MirrorFact } from '../../shared/domain/health.ts'
import { plural } from '../../shared/domain/units.ts'
import type { Baseline, BladeEvidence, CaseCode, Finding, Severity } from './case.ts'
import { bladeFinding, isUnreadable } from './finding.ts'

/** Mirrors of one blade against its baseline. A running check or resync is no finding by itself. */
export function diagnoseMirrors(evidence: BladeEvidence): Finding[] {
  const facts = evidence.facts.filter(fact => fact.kind === 'mirror')
  const findings = facts.flatMap(fact =>
    diagnoseMirror(
      evidence.blade,
      fact,
      evidence.baseline?.mirrors.find(mirror => mirror.name === fact.name),
    ),
  )
  for (const mirror of evidence.baseline?.mirrors ?? []) {
    if (facts.some(fact => fact.name === mirror.name)) continue
    // Only a complete, readable list proves that something is not on it.
    if (evidence.complete === false || isUnreadable(evidence, 'mirror', mirror.name)) continue
    const others = facts.map(fact => fact.name).sort()
    const instead = others.length === 0 ? 'no mirror is there' : `there is ${others.join(', ')}`
    findings.push(
      bladeFinding(evidence.blade, 'mirror-missing', 'moderate', mirror.name, {
        evidence: `${mirror.name} of ${mirror.devices.join(', ')} is not there any more; ${instead}`,
        observedAt: Math.max(0, ...facts.map(fact => fact.observedAt)),
      }),
    )
  }
  return findings
}

function diagnoseMirror(
  blade: string,
  fact: MirrorFact,
  baseline: Baseline['mirrors'][number] | undefined,
): Finding[] {
  const good = fact.members.filter(member => member.state === 'in-sync')
  // The larger of the two: a mirror shrunk with mdadm --grow is no loss to the kernel, but it is to the baseline.
  const expected = Math.max(baseline?.devices.length ?? 0, fact.expectedMembers)
  if (good.length >= expected) return []
  const lost = lostDevices(fact, baseline)
  const left = good.map(member => member.device)
  const text = [
    lost.length === 0
      ? `${fact.name} lacks ${plural(expected - good.length, 'disk')}`
      : `lost ${lost.join(', ')} of ${fact.name}`,
    `${left.length} of ${plural(expected, 'disk')} left${left.length === 0 ? '' : `: ${left.join(', ')}`}`,
  ].join(', ')
  // A rebuilding disk holds no second copy until it is done: still degraded, but the person may want to wait.
  const rebuilding = fact.members.filter(member => member.state === 'rebuilding').map(member => member.device)
  const rebuild =
    rebuilding.length === 0
      ? ''
      : `; ${rebuilding.join(', ')} is rebuilding, ${Math.round(fact.progressPercent)} %`
  const finding = (code: CaseCode, severity: Severity, evidence: string): Finding =>
    bladeFinding(blade, code, severity, fact.name, { evidence, observedAt: fact.observedAt })

  const findings = [finding('mirror-degraded', 'moderate', text + rebuild)]
  // Beside mirror-degraded, not instead of it: the first case goes on, so its history and its alert do not end in a
  // "cleared" at the very moment when it gets worse.
  const failing = good.filter(member => member.errors > 0)
  if (good.length === 0) {
    findings.push(finding('mirror-survivor-failing', 'severe', `${text}: no disk is in sync${rebuild}`))
  } else if (failing.length > 0) {
    const errors = failing.map(member => `${member.device} has ${plural(member.errors, 'error')}`).join(', ')
    findings.push(finding('mirror-survivor-failing', 'severe', `${text}; ${errors}${rebuild}`))
  }
  return findings
}

/** By the baseline, since the kernel forgets the name of a disk that is gone. */
function lostDevices(fact: MirrorFact, baseline: Baseline['mirrors'][number] | undefined): string[] {
  const inSync = new Set(
    fact.members.filter(member => member.state === 'in-sync').map(member => member.device),
  )
  const known =
    baseline?.devices ??
    fact.members
      .filter(
        member => member.state === 'faulty' || member.state === 'missing' || member.state === 'rebuilding',
      )
      .map(member => member.device)
  return known.filter(device => device !== '' && !inSync.has(device))
}
