import type { Finding } from './case.ts'

/** `blade03`, `chassis1`, `vault depot`, `the fleet`. */
export function where(finding: Pick<Finding, 'scope' | 'scopeName'>): string {
  if (finding.scope === 'vault') return `vault ${finding.scopeName}`
  return finding.scopeName === '' ? 'the fleet' : finding.scopeName
}

/** The evidence without the percents of a rebuild, which move by themselves: two texts alike say the same. */
export function withoutPercent(text: string): string {
  return text.replace(/\d+ %/g, '%')
}
