import {
  BLADE_HARDWARE_CODES,
  type Case,
  type CaseCode,
  type Finding,
  SEVERITIES,
  type Severity,
} from '../diagnosis/case.ts'

/** What the brakes look at of a blade. */
export interface BrakeBlade {
  readonly name: string
  readonly admin: string
  readonly chassis: string
  readonly feeds: readonly string[]
  readonly switches: readonly string[]
}

/**
 * What makes one blade look bad. Not what cannot be read (rule 9), and not what belongs to a chassis: that is one case
 * already, and it names its cause.
 */
const BAD_CODES: ReadonlySet<CaseCode> = new Set<CaseCode>([...BLADE_HARDWARE_CODES, 'blade-silent'])

/** So many blades may look bad before one cause is suspected: a quarter, but one always. */
export function badBladesAllowed(bladeCount: number): number {
  return Math.max(1, Math.floor(bladeCount / 4))
}

/** What stops automatic evacuations, those under way too. */
export interface Brake {
  /** Ends a sentence: `automation is paused`. */
  readonly why: string
  /** What lets go of it. */
  readonly release: string
}

/** The brake that is on now, if any is: nothing that was not begun begins, unless a person asked for it (rule 10). */
export function brakeOn(
  automation: { readonly paused: boolean },
  cases: readonly Case[],
  blades: readonly BrakeBlade[],
): Brake | undefined {
  if (automation.paused)
    return { why: 'automation is paused', release: '`lifeboat automation resume` lets it go on' }
  const common = commonCause(cases, blades)
  if (common === undefined) return undefined
  return { why: `${common.evidence} (rule 10)`, release: 'it goes on when fewer of them look bad' }
}

/**
 * Rule 10: more than a quarter of the blades bad at once is more likely one cause (a feed, a switch, what they were
 * updated with, or the observer itself) than that many accidents; emptying them all would be the wild reshuffle.
 *
 * Counted are the blades bad now, whenever each of them became so. A window ("within ten minutes") was rejected: a
 * fleet with a quarter of its blades out of order has no room for automatic moves either, however slowly it got there.
 */
export function commonCause(cases: readonly Case[], blades: readonly BrakeBlade[]): Finding | undefined {
  // Whoever works on a blade makes it look bad on purpose.
  const watched = blades.filter(blade => blade.admin !== 'maintenance')
  const names = new Set(watched.map(blade => blade.name))
  const counted = cases.filter(
    each =>
      each.closedAt === 0 &&
      each.severity !== 'info' &&
      each.scope === 'blade' &&
      BAD_CODES.has(each.code) &&
      names.has(each.scopeName),
  )
  const bad = [...new Set(counted.map(each => each.scopeName))].sort()
  if (bad.length <= badBladesAllowed(watched.length)) return undefined
  const suspect = suspectOf(bad, watched)
  const codes = [...new Set(counted.map(each => each.code))].sort()
  return {
    key: 'common-cause/fleet',
    code: 'common-cause',
    severity: worst(counted),
    scope: 'fleet',
    scopeName: '',
    blades: bad,
    subject: suspect,
    evidence: `${bad.length} of ${watched.length} blades look bad at once (${codes.join(', ')}): ${bad.join(', ')}; ${
      suspect === ''
        ? 'they share no chassis, feed or switch that the others do not: suspect an update, or what watches them'
        : `what they share is ${suspect}`
    }`,
    observedAt: Math.min(...counted.map(each => each.observedAt)),
  }
}

/**
 * The fault domain that has all bad blades and the fewest good ones. One that has at least as many good ones explains
 * nothing: every blade hangs on both switches.
 */
function suspectOf(bad: readonly string[], blades: readonly BrakeBlade[]): string {
  const domains = new Map<string, Set<string>>()
  for (const blade of blades) {
    const named = [
      ...blade.feeds.map(feed => `feed ${feed}`),
      ...blade.switches.map(name => `switch ${name}`),
      ...(blade.chassis === '' ? [] : [`chassis ${blade.chassis}`]),
    ]
    for (const name of named) domains.set(name, (domains.get(name) ?? new Set()).add(blade.name))
  }
  const covering = [...domains]
    .filter(([, members]) => bad.every(name => members.has(name)) && members.size < bad.length * 2)
    .sort(([a, x], [b, y]) => (x.size === y.size ? (a < b ? -1 : 1) : x.size - y.size))
  const fewest = covering[0]?.[1].size
  return covering
    .filter(([, members]) => members.size === fewest)
    .map(([name]) => name)
    .join(' and ')
}

function worst(cases: readonly Case[]): Severity {
  return cases.reduce<Severity>(
    (so, each) => (SEVERITIES[each.severity] > SEVERITIES[so] ? each.severity : so),
    'info',
  )
}
