import { type Cron, jitterOf, lastBefore, nextAfter, pastOrNever } from '../../shared/cron.ts'
import { HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'

/** What this blade remembers of a VM's backups. Epoch ms, 0: never. */
export interface BackupHistory {
  /** Since when this blade is the one to back it up: earlier nights were another's. */
  readonly knownSince: number
  /** When the last attempt ended, however it did. */
  readonly lastAttemptAt: number
  /** The moment of the newest restore point. */
  readonly lastSuccessAt: number
  /** Attempts that failed since. */
  readonly failures: number
}

const FIRST_RETRY_MS = 10 * MINUTE_MS
const LAST_RETRY_MS = 4 * HOUR_MS

/**
 * When the next backup of a VM shall begin: a moment that is over means now; 0: the schedule never comes. Pure.
 *  - Each VM begins at a moment of its own behind the hour of the schedule: the same one each night.
 *  - Of all nights that were missed only the last is caught up.
 *  - A restore point made behind the hour of the schedule, by whomever, serves that night.
 *  - After a failure it is tried again after 10, 30, 90 minutes, then every 4 hours, until it succeeds.
 *  - What is remembered of the future is of a clock that was wrong, and counts as never.
 */
export function nextBackupAt(
  vm: {
    readonly id: string
    readonly cron: Cron
    readonly jitterMs: number
    readonly history: BackupHistory
  },
  now: number,
): number {
  const { cron } = vm
  const history = withoutFuture(vm.history, now)
  const ownMs = jitterOf(vm.id, vm.jitterMs)
  const hour = lastBefore(cron, now - ownMs)
  const isServed = hour === 0 || history.lastSuccessAt >= hour || hour + ownMs <= history.knownSince
  if (!isServed) return Math.max(hour + ownMs, retryAt(history))
  const next = nextAfter(cron, now - ownMs)
  return next === 0 ? 0 : next + ownMs
}

function withoutFuture(history: BackupHistory, now: number): BackupHistory {
  const { knownSince, lastAttemptAt, lastSuccessAt } = history
  return {
    ...history,
    knownSince: pastOrNever(knownSince, now),
    lastAttemptAt: pastOrNever(lastAttemptAt, now),
    lastSuccessAt: pastOrNever(lastSuccessAt, now),
  }
}

function retryAt({ failures, lastAttemptAt }: BackupHistory): number {
  if (failures === 0) return 0
  return lastAttemptAt + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 3 ** (failures - 1))
}
