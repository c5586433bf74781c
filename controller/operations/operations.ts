import type { OperationState } from '../../shared/domain/operation.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaView } from '../../shared/saga/definition.ts'
import { createSagaJournal } from '../../shared/saga/journal.ts'
import { createSagaRunner, type SagaRunner } from '../../shared/saga/runner.ts'
import {
  EMPTY_OPERATION,
  type OperationKind,
  type OperationRecord,
  READING_KINDS,
} from '../store/operations.ts'
import { backupSaga } from './backup-saga.ts'
import { bootTestSaga } from './boot-test-saga.ts'
import { moveSaga } from './move-saga.ts'
import {
  type Beginning,
  beginningOfAction,
  beginningOfBackup,
  beginningOfBootTest,
  beginningOfMove,
  beginningOfRestore,
  type NewAction,
  type NewBackup,
  type NewBootTest,
  type NewMove,
  type NewRestore,
} from './new-operations.ts'
import { beginLine, stateLine } from './operation-lines.ts'
import { describeEnd } from './outcome.ts'
import { restoreSaga } from './restore-saga.ts'
import type { OperationServices } from './services.ts'
import { VM_ACTIONS, type VmAction, vmActionSaga } from './vm-action-saga.ts'

/** Operations: the one place where their state changes. */
export interface Operations {
  /** Throws `busy` when another operation works on the VM. Returns when it is journaled, not when it is done. */
  startMove(move: NewMove): OperationRecord
  startAction(action: NewAction): OperationRecord
  startBackup(backup: NewBackup): OperationRecord
  startRestore(restore: NewRestore): OperationRecord
  startBootTest(test: NewBootTest): OperationRecord
  /** A record without a saga, moved on by its owner (an evacuation, whose moves are its children). */
  addParent(
    operation: Pick<OperationRecord, 'from' | 'plan' | 'cause' | 'requestedBy' | 'deadlineAt'>,
  ): OperationRecord
  setState(
    id: string,
    state: OperationState,
    words: { outcome?: string; nextCommand?: string; error?: string },
  ): void
  /** Journaled; returns at once. Not for a parent: its owner does that. */
  abort(id: string, by: string): void
  progress(id: string): { doneBytes: number; totalBytes: number }
  /** Drops what ended before that time, with its orders and its journal. Returns how many. */
  prune(endedBefore: number): number
  /** Takes up what an earlier run of the controller left. Once, at start-up. */
  resume(): void
  /** Stops without undoing anything: the next start goes on. */
  close(): Promise<void>
}

export interface OperationsOptions {
  readonly services: OperationServices
  readonly graceMs: number
  readonly moveDeadlineMs: number
  /** Start, stop, pause and resume. */
  readonly actionDeadlineMs: number
  /** An operation changed: people watch, and the reconciler may go on. */
  readonly onChange: (id: string) => void
}

/** Registers every saga; nothing runs until `resume` or the first start. */
export function createOperations(options: OperationsOptions): Operations {
  const { services } = options
  const { store, clock, log, fleet } = services
  const journal = createSagaJournal(store.database)
  const runner: SagaRunner<OperationServices> = createSagaRunner<OperationServices>({
    journal,
    clock,
    // Its "started" and "done" would say each state change a second time.
    log: { ...log, info: (message, fields) => log.debug(message, fields) },
    servicesFor: () => services,
    onChange: view => follow(view),
  })
  runner.register(moveSaga)
  runner.register(backupSaga)
  runner.register(restoreSaga)
  runner.register(bootTestSaga)
  for (const action of Object.keys(VM_ACTIONS) as VmAction[]) runner.register(vmActionSaga(action))

  /** The one function that changes an operation's state; each change leaves one line. */
  const setState: Operations['setState'] = (id, state, words) => {
    const operation = store.operations.get(id)
    if (operation === undefined || operation.endedAt > 0) return
    const ended = state === 'done' || state === 'undone' || state === 'needs-admin'
    if (operation.state === state && !ended) return
    const now = clock.now()
    const line = stateLine(operation, state, words.outcome ?? '')
    store.transaction(() => {
      store.operations.update(id, {
        ...words,
        state,
        ...(ended ? { endedAt: now, reservation: undefined } : {}),
      })
      // That a VM could be read says nothing of what a move of it left behind.
      const changes = !READING_KINDS.includes(operation.kind)
      if (state === 'done' && changes && operation.vmId !== '') store.operations.settleOf(operation.vmId, now)
      if (operation.vmId !== '') store.stories.tell('vm', operation.vmId, now, line)
      if (operation.from !== '') store.stories.tell('blade', operation.from, now, line)
      if (operation.to !== '' && operation.to !== operation.from) {
        store.stories.tell('blade', operation.to, now, line)
      }
    })
    if (state === 'needs-admin') log.error(line, { next: words.nextCommand ?? '' })
    else log.info(line)
    fleet.touch()
  }

  const follow = (view: SagaView) => {
    const operation = store.operations.get(view.id)
    if (operation === undefined || operation.endedAt > 0) return
    const progress = runner.progress(view.id)
    store.operations.update(view.id, { steps: view.steps, error: view.error, ...progress })
    if (view.state === 'running' || view.state === 'aborting') setState(view.id, view.state, {})
    else {
      const end = describeEnd(operation, view)
      store.operations.update(view.id, {
        downtimeMs: end.downtimeMs,
        handoverMs: end.handoverMs,
        point: end.point || operation.point,
        pauseMs: end.pauseMs,
        recoveryMs: end.recoveryMs,
        doneBytes: end.transferredBytes || progress.doneBytes,
        totalBytes: end.transferredBytes || progress.totalBytes,
      })
      setState(view.id, view.state, { outcome: end.outcome, nextCommand: end.nextCommand })
    }
    options.onChange(view.id)
  }

  const begin = (
    fields: Partial<OperationRecord> & { kind: OperationKind; deadlineAt: number },
  ): OperationRecord => {
    const now = clock.now()
    const operation: OperationRecord = {
      ...EMPTY_OPERATION,
      ...fields,
      id: `o${store.settings.nextNumber('operation')}`,
      startedAt: now,
    }
    store.operations.add(operation)
    const line = beginLine(operation)
    log.info(line)
    if (operation.vmId !== '') store.stories.tell('vm', operation.vmId, now, line)
    if (operation.from !== '') store.stories.tell('blade', operation.from, now, line)
    if (operation.to !== '' && operation.to !== operation.from)
      store.stories.tell('blade', operation.to, now, line)
    return operation
  }
  // The row first: should the process end between the two, `resume` ends an operation that has no saga.
  const beginSaga = (operation: OperationRecord, params: object): OperationRecord => {
    try {
      runner.start(operation.kind, operation.id, params as Json, operation.deadlineAt)
    } catch (error) {
      // Without its saga nothing would ever end it, and the VM would be busy until the next start (rule 11).
      setState(operation.id, 'undone', { outcome: 'it could not begin; nothing was done' })
      throw error
    }
    fleet.touch()
    options.onChange(operation.id)
    return operation
  }
  const refuseBusy = (vm: { readonly id: string; readonly name: string }, reading?: OperationKind) => {
    const busy =
      reading === undefined ? store.operations.activeOf(vm.id) : store.operations.readingOf(vm.id, reading)
    if (busy === undefined) return
    throw new LifeboatError(
      'busy',
      `operation ${busy.id} (${busy.kind}) works on ${vm.name}; wait for it (lifeboat operation watch ${busy.id}) or abort it`,
    )
  }

  const start = <Params extends object>({ fields, params }: Beginning<Params>) =>
    beginSaga(begin(fields), params)

  return {
    startMove: move => {
      refuseBusy(move.vm)
      return start(beginningOfMove(move, clock.now(), options))
    },
    startAction: action => {
      refuseBusy(action.vm)
      return start(beginningOfAction(action, clock.now(), options.actionDeadlineMs))
    },
    startBackup: backup => {
      refuseBusy(backup.vm, 'backup')
      return start(beginningOfBackup(backup, clock.now()))
    },
    startRestore: restore => {
      refuseBusy(restore.plan)
      return start(beginningOfRestore(restore, clock.now()))
    },
    startBootTest: test => {
      refuseBusy(test.pointVm, 'boot-test')
      return start(beginningOfBootTest(test, clock.now()))
    },
    addParent: fields => begin({ ...fields, kind: 'evacuate' }),
    setState: (id, state, words) => {
      setState(id, state, words)
      options.onChange(id)
    },
    abort: (id, by) => {
      const operation = store.operations.get(id)
      if (operation?.vmId)
        store.stories.tell('vm', operation.vmId, clock.now(), `operation ${id}: abort, asked by ${by}`)
      log.info(`operation ${id}: abort, asked by ${by}`)
      runner.abort(id)
    },
    progress: id => runner.progress(id),
    prune: endedBefore => {
      const old = store.operations.endedBefore(endedBefore)
      store.transaction(() => {
        for (const { id } of old) {
          if (journal.load(id) !== undefined) journal.forget(id)
          store.orders.removeOf(id)
          store.operations.remove(id)
        }
      })
      return old.length
    },
    resume: () => {
      runner.resume()
      for (const operation of store.operations.active()) {
        if (operation.kind === 'evacuate' || runner.view(operation.id) !== undefined) continue
        setState(operation.id, 'undone', {
          outcome: 'the controller stopped before it began; nothing was done',
        })
      }
    },
    close: () => runner.close(),
  }
}
