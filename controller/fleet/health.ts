import type { Health, Liveness } from '../../shared/domain/fleet.ts'
import type { Fact } from '../../shared/domain/health.ts'
import { BLADE_HARDWARE_CODES, type Case, type CaseCode } from '../diagnosis/case.ts'

/**
 * The cases that speak of a blade's hardware. Silence is not among them: that is the axis of liveness, and the axes
 * are never mixed. Nor is anything about VMs, plans or operations.
 */
const HARDWARE_CODES: ReadonlySet<CaseCode> = new Set<CaseCode>([
  ...BLADE_HARDWARE_CODES,
  'power-degraded',
  'power-insufficient',
  'power-predictive-failure',
  'sensor-unreadable',
])

const RANK: Readonly<Record<Health, number>> = { healthy: 0, unknown: 1, moderate: 2, severe: 3 }

export interface BladeHealth {
  readonly health: Health
  /** One sentence for each case that makes it so. */
  readonly reasons: readonly string[]
}

/** Nothing new is placed on such a blade because of what is known to be lost; `unknown` is not known to be lost. */
export function isQuarantined(health: Health): boolean {
  return health === 'moderate' || health === 'severe'
}

/**
 * Health of one blade: its worst open case.
 *
 * - A case of the chassis counts only when severe. One supply of four is one alert; were it a mark on each blade, a
 *   single failed supply would close a whole chassis to placement, the very room an evacuation needs.
 * - A sensor of the blade that cannot be read makes it `unknown`: rule 6 then places nothing there, and no policy looks
 *   at `unknown`, so rule 9 holds as well and nothing is moved away.
 * - Unreadable power supplies are a case of the chassis and leave its blades as they are, for the reason above.
 */
export function bladeHealth(
  blade: { readonly name: string },
  cases: readonly Case[],
  facts: readonly Fact[] | undefined,
  liveness: Liveness,
): BladeHealth {
  let health: Health = 'healthy'
  const reasons: string[] = []
  for (const each of cases) {
    const found = each.closedAt === 0 ? healthOf(each, blade.name) : undefined
    if (found === undefined) continue
    if (RANK[found] > RANK[health]) health = found
    reasons.push(each.evidence)
  }
  // A blade without mirror, bond or supplies sends no facts and may well be sound; one that does not report is not known.
  const nothingKnown = facts === undefined || (facts.length === 0 && liveness !== 'up')
  if (health === 'healthy' && nothingKnown) {
    return { health: 'unknown', reasons: [`${blade.name} has not reported its hardware yet`] }
  }
  return { health, reasons }
}

function healthOf(each: Case, blade: string): Health | undefined {
  if (!HARDWARE_CODES.has(each.code)) return undefined
  if (each.scope === 'blade' && each.scopeName === blade) {
    if (each.code === 'sensor-unreadable') return 'unknown'
    return each.severity === 'info' ? undefined : each.severity
  }
  const ofItsChassis = each.scope === 'chassis' && each.blades.includes(blade)
  return ofItsChassis && each.severity === 'severe' ? 'severe' : undefined
}
