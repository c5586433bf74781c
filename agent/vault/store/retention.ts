/** How many restore points of a VM are kept. All zero: none is ever dropped. */
export interface RetentionPolicy {
  /** The newest so many. */
  readonly keepLast: number
  /** The newest of each of the newest so many days that have one, by UTC; weeks begin on Monday. */
  readonly keepDaily: number
  readonly keepWeekly: number
  readonly keepMonthly: number
}

export interface RetentionPolicies {
  readonly byDefault: RetentionPolicy
  readonly byVmId: Readonly<Record<string, RetentionPolicy>>
}

/** Nobody said what to keep: everything. */
export const NO_POLICY: RetentionPolicy = { keepLast: 0, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }
export const NO_POLICIES: RetentionPolicies = { byDefault: NO_POLICY, byVmId: {} }

/** A restore point as retention sees it. */
export interface RetainedPoint {
  /** Its name, 20261128T020512Z: the moment of it, UTC, unique within its VM. */
  readonly point: string
  readonly whole: boolean
  /** All its chunks were hashed again and found good, or it was seen to boot. */
  readonly verified: boolean
  /** Why it is not to be taken away now: being read, or granted to a restore. Empty: it may be. */
  readonly inUse: string
}

export interface RetentionVerdict {
  readonly point: string
  readonly keep: boolean
  /** Why it is kept, or why not; at least one. */
  readonly reasons: readonly string[]
}

/**
 * Which restore points of one VM stay; the newest first. Pure.
 *
 * Whatever the policy says, the newest verified one and the newest whole one stay: a night of damaged backups must not
 * push out the last good one. Only whole points fill the places of the policy, for the same reason; a damaged one stays
 * while it is among the newest `keepLast`, where a person is still looking at it and the next backup may heal it.
 * Points without a readable manifest are never dropped: a newer Lifeboat wrote them.
 */
export function decideRetention(
  points: readonly (RetainedPoint & { readonly readable: boolean })[],
  policy: RetentionPolicy,
): readonly RetentionVerdict[] {
  const sorted = [...points].sort((a, b) => (a.point < b.point ? 1 : -1))
  const reasons = new Map<string, string[]>(sorted.map(({ point }) => [point, []]))
  const keep = (point: string | undefined, reason: string) => {
    if (point !== undefined) reasons.get(point)?.push(reason)
  }
  const whole = sorted.filter(point => point.whole)
  if (isUnlimited(policy)) for (const { point } of sorted) keep(point, 'no policy')
  for (const [index, { point }] of sorted.slice(0, policy.keepLast).entries()) {
    keep(point, `last ${index + 1} of ${policy.keepLast}`)
  }
  for (const [index, { point }] of whole.slice(0, policy.keepLast).entries()) {
    if (reasons.get(point)?.length === 0) keep(point, `last whole ${index + 1} of ${policy.keepLast}`)
  }
  for (const { word, count, bucketOf } of buckets(policy)) {
    for (const [index, point] of newestOfEach(whole, bucketOf).slice(0, count).entries()) {
      keep(point, `${word} ${index + 1} of ${count}`)
    }
  }
  keep(whole[0]?.point, 'newest whole')
  keep(whole.find(point => point.verified)?.point, 'newest verified')
  for (const { point, readable, inUse } of sorted) {
    if (!readable) keep(point, 'its manifest cannot be read')
    if (inUse !== '') keep(point, inUse)
  }
  return sorted.map(({ point, whole: isWhole }) => {
    const why = reasons.get(point) ?? []
    if (why.length > 0) return { point, keep: true, reasons: why }
    return { point, keep: false, reasons: [isWhole ? 'no rule keeps it' : 'damaged, and no rule keeps it'] }
  })
}

/**
 * Which restore points of one VM stay when several blades wrote them; the newest first. Pure. Each blade's are judged by
 * themselves: a blade may name its restore points for any VM, and must not be able to push out with them what another
 * one wrote. So a blade the VM has left keeps what the policy gives it.
 */
export function decideByWriter(
  points: readonly (RetainedPoint & { readonly readable: boolean; readonly blade: string })[],
  policy: RetentionPolicy,
): readonly RetentionVerdict[] {
  const byWriter = Map.groupBy(points, point => point.blade)
  const verdicts = [...byWriter].flatMap(([blade, own]) => {
    const decided = decideRetention(own, policy)
    const writer = blade === '' ? 'written by hand' : `written by ${blade}`
    return byWriter.size === 1
      ? decided
      : decided.map(({ reasons, ...verdict }) => ({ ...verdict, reasons: [...reasons, writer] }))
  })
  return verdicts.sort((a, b) => (a.point < b.point ? 1 : -1))
}

function isUnlimited(policy: RetentionPolicy): boolean {
  return policy.keepLast + policy.keepDaily + policy.keepWeekly + policy.keepMonthly === 0
}

function buckets(policy: RetentionPolicy) {
  return [
    { word: 'daily', count: policy.keepDaily, bucketOf: (point: string) => point.slice(0, 8) },
    { word: 'weekly', count: policy.keepWeekly, bucketOf: weekOf },
    { word: 'monthly', count: policy.keepMonthly, bucketOf: (point: string) => point.slice(0, 6) },
  ]
}

/** The newest point of each bucket, the newest bucket first. */
function newestOfEach(
  sorted: readonly RetainedPoint[],
  bucketOf: (point: string) => string,
): readonly string[] {
  const newest = new Map<string, string>()
  for (const { point } of sorted) {
    const bucket = bucketOf(point)
    if (!newest.has(bucket)) newest.set(bucket, point)
  }
  return [...newest.values()]
}

/** A number for each week, Monday to Sunday. */
function weekOf(point: string): string {
  const day = Date.UTC(Number(point.slice(0, 4)), Number(point.slice(4, 6)) - 1, Number(point.slice(6, 8)))
  // 1970-01-01 was a Thursday.
  return String(Math.floor((day / 86_400_000 + 3) / 7))
}
