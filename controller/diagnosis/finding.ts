import type { ProbeSubject } from '../../shared/domain/health.ts'
import type { BladeEvidence, CaseCode, Finding, Severity } from './case.ts'

/** A finding about one blade. The subject is empty when it is the blade itself (silence, its agent's version). */
export function bladeFinding(
  blade: string,
  code: CaseCode,
  severity: Severity,
  subject: string,
  seen: { readonly evidence: string; readonly observedAt: number },
): Finding {
  return {
    key: keyOf(code, blade, subject),
    code,
    severity,
    scope: 'blade',
    scopeName: blade,
    blades: [blade],
    subject,
    ...seen,
  }
}

/** `mirror-degraded/blade03/md0`; an empty part is left out. */
export function keyOf(code: CaseCode, scope: string, subject: string): string {
  return [code, scope, subject].filter(part => part !== '').join('/')
}

/** The probe could not read this thing, or not even the list of things of its kind. */
export function isUnreadable(
  evidence: { readonly facts: BladeEvidence['facts'] },
  of: ProbeSubject,
  name: string,
): boolean {
  return evidence.facts.some(
    fact => fact.kind === 'unreadable' && fact.of === of && (fact.name === '' || fact.name === name),
  )
}
