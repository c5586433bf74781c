import type { CaseCode, Finding, Severity } from '../diagnosis/case.ts'
import { keyOf } from '../diagnosis/finding.ts'

/** A finding of no blade in particular; whoever knows blades names them beside. */
export function fleetWide(
  code: CaseCode,
  severity: Severity,
  subject: string,
  now: number,
  evidence: string,
): Finding {
  return {
    key: keyOf(code, 'fleet', subject),
    code,
    severity,
    scope: 'fleet',
    scopeName: '',
    blades: [],
    subject,
    evidence,
    observedAt: now,
  }
}
