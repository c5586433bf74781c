import { formatDuration } from '../../shared/domain/units.ts'
import type { BackupOutcome, BootTest } from '../store/backups.ts'
import type { PointRecord } from '../store/points.ts'
import type { EffectivePolicy } from './policy.ts'

/** How well one VM is backed up now. */
export interface Standing {
  /** The newest whole restore point; undefined: none. */
  readonly newest: PointRecord | undefined
  /** Moment of the newest one that was hashed again, or booted; 0: none. */
  readonly newestVerifiedAt: number
  /** Of the newest boot test that saw it run; 0: none. */
  readonly recoveryMs: number
  readonly overdue: boolean
  /** One sentence. */
  readonly text: string
}

export interface StandingSources {
  readonly now: number
  readonly policy: EffectivePolicy
  /** Of this VM, the newest first. */
  readonly points: readonly PointRecord[]
  /** Of this VM, the newest first. */
  readonly tests: readonly BootTest[]
  /** Since when it could have been backed up: it is known, and so is a vault. */
  readonly knownSince: number
  readonly overdueMs: number
}

/** Pure. A VM without any restore point is overdue when it has been known for that long. */
export function standingOf(sources: StandingSources): Standing {
  const { now, policy, points, tests, overdueMs } = sources
  const newest = points.find(point => point.state === 'whole')
  const verified = points.find(isVerified)
  const lastGoodAt = newest?.at ?? sources.knownSince
  const expected = policy.mode !== 'off' && policy.vault !== ''
  const overdue = expected && now - lastGoodAt > overdueMs
  return {
    newest,
    newestVerifiedAt: verified?.at ?? 0,
    recoveryMs: tests.find(test => test.ok)?.recoveryMs ?? verifiedBoot(points),
    overdue,
    text: textOf(policy, newest, overdue, now),
  }
}

/** Whole, and hashed again or booted since it was written. */
export function isVerified(point: PointRecord): boolean {
  return point.state === 'whole' && (point.checkedAt > 0 || (point.bootedAt > 0 && point.bootError === ''))
}

/** Of one VM, each list the newest first: the tries that failed with nothing that went well since. Pure. */
export function failuresSince(
  outcomes: readonly BackupOutcome[],
  points: readonly PointRecord[],
): readonly BackupOutcome[] {
  const goodAt = Math.max(outcomes.find(each => each.ok)?.at ?? 0, points[0]?.at ?? 0)
  return outcomes.filter(each => !each.ok && each.at > goodAt)
}

/** What the vault remembers of a test that this controller's database does not know. */
function verifiedBoot(points: readonly PointRecord[]): number {
  return points.find(point => point.bootedAt > 0 && point.bootError === '')?.recoveryMs ?? 0
}

function textOf(
  policy: EffectivePolicy,
  newest: PointRecord | undefined,
  overdue: boolean,
  now: number,
): string {
  const last = newest === undefined ? 'never backed up' : `backed up ${formatDuration(now - newest.at)} ago`
  if (policy.mode === 'off') return `${last}; its backups are off`
  if (policy.vault === '') return `${last}; there is no vault to back up to`
  return overdue ? `${last}: overdue` : last
}
