import type { Clock } from '../../shared/clock.ts'
import { formatErrorChain } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import type { SagaView } from '../../shared/saga/definition.ts'
import type { SagaJournal } from '../../shared/saga/journal.ts'
import { formatPoint } from '../vault/format/point.ts'
import { readCheck, readSnapshot } from './backup-journal.ts'
import type { LeftoverSnapshot, SnapshotPlan, Snapshots } from './snapshots.ts'
import { unfinishedBackups } from './stand-aside.ts'
import type { Transfer } from './transfer.ts'

export interface BackupRecoveryOptions {
  readonly snapshots: Snapshots
  readonly transfer: Pick<Transfer, 'forgetOthers'>
  readonly journal: SagaJournal
  readonly view: (sagaId: string) => SagaView | undefined
  readonly runFor: (sagaId: string) => CommandRunner
  /** For what belongs to no backup. */
  readonly run: CommandRunner
  readonly clock: Clock
  readonly log: Logger
}

/**
 * First of all at a start: whatever a killed backup held runs again and its snapshots go (rule 2), and its saga is to
 * be undone, never taken up: a snapshot of last night is no restore point of now. One the vault lists already is left
 * to drop its snapshot. A boot test that was killed is undone too: it is only a look, and it takes the room of a VM.
 */
export async function releaseKilledBackups(options: BackupRecoveryOptions): Promise<void> {
  const { snapshots, journal, clock, log } = options
  for (const id of unfinishedBackups(journal)) {
    try {
      const view = options.view(id)
      const plan = planOf(view)
      if (plan !== undefined) await snapshots.release(plan, publishedOf(view), options.runFor(id))
      log.info(`backup ${id}: a killed one, released`)
    } catch (error) {
      // Its undo tries again; the timer of the pause works without us.
      log.error(`backup ${id}: what it held could not be released yet`, { error: formatErrorChain(error) })
    }
    journal.requestAbort(id, clock.now())
  }
  for (const { id, kind } of journal.unfinished()) {
    if (kind === 'boot-test') journal.requestAbort(id, clock.now())
  }
}

/**
 * Snapshots of ours that no backup owns: what a lost database, or an undo that failed, left behind. The base of the
 * next night, and what is remembered for it, go when their VM is not here any more. `vmIds`: those that are here;
 * undefined: not known, so both stay.
 */
export async function collectLeftovers(
  options: BackupRecoveryOptions,
  vmIds: readonly string[] | undefined,
): Promise<void> {
  const { snapshots, transfer, run, log } = options
  try {
    for (const leftover of await snapshots.leftovers(run)) {
      // Asked anew for each: a backup may have begun since, and it is in the journal before it makes anything.
      if (!isUnowned(leftover, ownedIds(options), vmIds)) continue
      await snapshots.drop(leftover, run)
      log.info(`snapshot ${leftover.path}: left over => dropped (${leftover.backupId})`)
    }
    if (vmIds !== undefined) transfer.forgetOthers(vmIds)
  } catch (error) {
    log.warn('leftovers of backups could not be collected', { error: formatErrorChain(error) })
  }
}

/** Pure. A backup's id ends with the beginning of its VM's. */
function isUnowned(
  leftover: LeftoverSnapshot,
  owned: ReadonlySet<string>,
  vmIds: readonly string[] | undefined,
): boolean {
  if (owned.has(leftover.backupId)) return false
  if (!leftover.base) return true
  return vmIds !== undefined && !vmIds.some(id => leftover.backupId.endsWith(id.slice(0, 8)))
}

function ownedIds({ journal, view }: BackupRecoveryOptions): ReadonlySet<string> {
  return new Set(unfinishedBackups(journal).flatMap(id => planOf(view(id))?.backupId ?? []))
}

function planOf(view: SagaView | undefined): SnapshotPlan | undefined {
  const check = view?.results.check
  return check === undefined ? undefined : readCheck(check).plan
}

function publishedOf(view: SagaView | undefined): string | undefined {
  if (view?.results.send === undefined) return undefined
  return formatPoint(readSnapshot(view.results.snapshot).at)
}
