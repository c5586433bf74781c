import type { ProbeSubject } from '../../shared/domain/health.ts'
import type { BladeEvidence, CaseCode, Finding, Severity } from './case.ts'

/** A finding about one blade. */
export function bladeFinding(
  blade: string,
  code: CaseCode,
  severity: Severity,
  subject: string,
  seen: { readonly evidence: string; readonly observedAt: number },
): Finding {
  return {
    key: `${code}/${blade}/${subject}`,
    code,
    severity,
    scope: 'blade',
    scopeName: blade,
    blades: [blade],
    subject,
    ...seen,
  }
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
