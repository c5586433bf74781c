import type { Clock } from '../../shared/clock.ts'
import { parseCron } from '../../shared/cron.ts'
import type { Vm } from '../../shared/domain/fleet.ts'
import { isTestVm } from '../../shared/domain/ids.ts'
import { formatBytes, formatDuration, HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'
import { formatErrorChain } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Json, SagaView } from '../../shared/saga/definition.ts'
import { type Loop, startLoop } from '../loop.ts'
import type { BackupStore } from '../store/backup-store.ts'
import { formatPoint } from '../vault/format/point.ts'
import { nextBackupAt } from './due.ts'
import { type BackupSettings, modeOf, scheduleOf } from './settings.ts'

/** A night's backup that takes longer than this meets the next one. */
const DEADLINE_MS = 20 * HOUR_MS
/** Nobody waits for a nightly backup to the minute. */
const ROUND_MS = MINUTE_MS

export interface ScheduleOptions {
  readonly store: BackupStore
  /** VMs as last seen; undefined: not known yet. */
  readonly vms: () => readonly Vm[] | undefined
  /** Is a move or an order at work on it? */
  readonly isHeld: (vmId: string) => boolean
  /** Is a backup at work, or waiting for its turn? */
  readonly isWorking: () => boolean
  readonly start: (sagaId: string, params: Json, deadlineAt: number) => void
  readonly clock: Clock
  readonly log: Logger
}

export interface DueBackup {
  readonly vm: Vm
  readonly dueAt: number
}

/**
 * The blade's own nights: needs no controller. One backup at a time, the one that is due for longest first; each is a
 * saga under an id of its own, which the order desk, and with it the controller, knows nothing of.
 */
export function startSchedule(options: ScheduleOptions): Loop {
  const { store, clock, log } = options

  function round(): void {
    const vms = options.vms()
    const settings = store.settings()
    if (vms === undefined || settings.vault === undefined || options.isWorking()) return
    const now = clock.now()
    const mine = vms.filter(vm => !vm.incoming && !isTestVm(vm.name))
    for (const vm of mine) store.meet(vm.id, now)
    store.forgetOthers(mine.map(vm => vm.id))
    const due = dueBackups(settings, mine, store, now).find(({ vm }) => !options.isHeld(vm.id))
    if (due !== undefined) begin(due.vm, now)
  }

  function begin(vm: Vm, now: number): void {
    const sagaId = `b-${formatPoint(now)}-${vm.id.slice(0, 8)}`
    const deadlineAt = now + DEADLINE_MS
    const ours = { generation: 0, epoch: 0, deadlineAt, mode: '', force: false }
    log.info(`vm ${vm.name}: backup due`, { backup: sagaId })
    options.start(sagaId, { vmId: vm.id, vmName: vm.name, ...ours }, deadlineAt)
  }

  return startLoop({
    clock,
    intervalMs: ROUND_MS,
    gatherMs: 0,
    body: async () => {
      try {
        round()
      } catch (error) {
        // A full disk, a broken database: the next round tries again.
        log.error('the schedule of backups cannot be followed', { error: formatErrorChain(error) })
      }
    },
  })
}

/** Those whose moment has come, the one that waits for longest first; `off` never. */
export function dueBackups(
  settings: BackupSettings,
  vms: readonly Vm[],
  store: Pick<BackupStore, 'history'>,
  now: number,
): readonly DueBackup[] {
  const due: DueBackup[] = []
  for (const vm of vms) {
    const history = store.history(vm.id)
    if (modeOf(settings, vm.id) === 'off' || vm.volumes.length === 0 || history === undefined) continue
    const cron = parseCron(scheduleOf(settings, vm.id))
    const dueAt = nextBackupAt({ id: vm.id, cron, jitterMs: settings.jitterMs, history }, now)
    if (dueAt !== 0 && dueAt <= now) due.push({ vm, dueAt })
  }
  return due.sort((a, b) => a.dueAt - b.dueAt || (a.vm.id < b.vm.id ? -1 : 1))
}

/** What an event says of a backup that has ended; `kind` is the event's. */
export function describeEnd(view: SagaView): { readonly kind: string; readonly text: string } {
  const sent = (view.results.send ?? {}) as Record<string, Json>
  if (view.state === 'done') {
    const [read, stored] = [Number(sent.readBytes ?? 0), Number(sent.storedBytes ?? 0)]
    const stood = `the VM stood ${formatDuration(Number(sent.pauseMs ?? 0))}`
    const text = `restore point ${sent.point} (${sent.consistency}): ${stood}, ${formatBytes(read)} read, ${formatBytes(stored)} added to the vault`
    return { kind: 'backup-done', text }
  }
  if (view.errorCode === 'aborted') return { kind: 'backup-aborted', text: view.error }
  return { kind: 'backup-failed', text: view.error }
}
