import { type Finding, SEVERITIES } from './case.ts'

/** One finding for each key, sorted by key; the worse one stays, the first of two alike. */
export function onePerKey(findings: readonly Finding[]): Finding[] {
  const byKey = new Map<string, Finding>()
  for (const finding of findings) {
    const known = byKey.get(finding.key)
    if (known === undefined || SEVERITIES[finding.severity] > SEVERITIES[known.severity]) {
      byKey.set(finding.key, finding)
    }
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
}
