import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import type { SagaView } from '../../shared/saga/definition.ts'
import type { SagaJournal } from '../../shared/saga/journal.ts'
import type { BackupStore } from '../store/backup-store.ts'
import type { OrderStore } from '../store/order-store.ts'
import { readSnapshot } from './backup-journal.ts'
import { nextTryWords } from './next-try.ts'
import { describeEnd } from './schedule.ts'

/** Journals and commands of the blade's own backups that are kept, for whoever looks into what went wrong. */
const KEPT_LOCAL = 20

export interface EndedOptions {
  readonly store: BackupStore
  readonly orders: OrderStore
  readonly journal: SagaJournal
  readonly tell: (kind: string, vm: string, text: string) => void
  readonly clock: Clock
  readonly log: Logger
}

/**
 * A backup has ended: how is remembered, so that the schedule knows what is due. What was ordered is told by the
 * order's status; the blade's own tells the controller by an event, now or when it can be reached again.
 */
export function backupEnded(view: SagaView, options: EndedOptions): void {
  const { store, orders, clock, log } = options
  const { vmId, vmName } = view.params as { vmId: string; vmName: string }
  const end = describeEnd(view)
  const isDone = view.state === 'done'
  const snapshot = isDone ? readSnapshot(view.results.snapshot) : undefined
  store.record({
    vmId,
    endedAt: view.endedAt || clock.now(),
    point: isDone ? String((view.results.send as { point?: string } | undefined)?.point ?? '') : '',
    at: snapshot?.at ?? 0,
    error: isDone ? '' : view.error,
  })
  if (orders.load(view.id) !== undefined) return
  const next = isDone ? '' : nextTryWords(vmId, store.settings(), store.history(vmId), clock.now())
  log[isDone ? 'info' : 'warn'](`vm ${vmName}: backup ${view.state} (${end.text})${next}`, {
    backup: view.id,
  })
  options.tell(end.kind, vmName, end.text)
  forgetOld(options)
}

function forgetOld({ orders, journal }: EndedOptions): void {
  const local = journal
    .list({ kind: 'backup-vm', ended: true })
    .filter(({ id }) => orders.load(id) === undefined)
  for (const { id } of local.slice(KEPT_LOCAL)) {
    journal.forget(id)
    orders.dropCommands(id)
  }
}
