import type { OperationState } from '../../shared/domain/operation.ts'
import type { SagaStepView } from '../../shared/saga/definition.ts'
import type { Reservation } from '../fleet/snapshot.ts'
import { createRowMap } from './row-map.ts'
import type { Sql } from './sql.ts'
import type { OperationTable } from './tables.ts'

export type OperationKind =
  | 'move'
  | 'evacuate'
  | 'start'
  | 'stop'
  | 'pause'
  | 'resume'
  | 'backup'
  | 'restore'
  | 'boot-test'

/**
 * They only read: whoever moves or stops the VM meanwhile goes first, and their own end of the work gives way. So
 * they make no VM busy, and the table lets one of them stand beside an operation that changes the VM.
 */
export const READING_KINDS: readonly OperationKind[] = ['backup', 'boot-test']

export interface OperationRecord {
  readonly id: string
  readonly kind: OperationKind
  readonly state: OperationState
  /** Empty for an evacuation. */
  readonly vmId: string
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly method: string
  readonly plan: string
  /** The evacuation a move belongs to. */
  readonly parent: string
  readonly cause: string
  readonly requestedBy: string
  readonly startedAt: number
  readonly endedAt: number
  readonly deadlineAt: number
  readonly steps: readonly SagaStepView[]
  readonly downtimeMs: number
  readonly handoverMs: number
  readonly doneBytes: number
  readonly totalBytes: number
  readonly error: string
  readonly outcome: string
  readonly nextCommand: string
  /** Room it takes at `to` until the reports show it. */
  readonly reservation: Reservation | undefined
  /** A person, or a later operation, dealt with its needs-admin. */
  readonly settledAt: number
  /** The restore point: made by a backup, read by a restore or boot test. Empty for the others. */
  readonly point: string
  /** How long a backup held the guest still. */
  readonly pauseMs: number
  /** A boot test: from the beginning of the restore to the sign of life. */
  readonly recoveryMs: number
}

/** What a new operation says of itself before it is told more. */
export const EMPTY_OPERATION: OperationRecord = {
  id: '',
  kind: 'move',
  state: 'running',
  vmId: '',
  vm: '',
  from: '',
  to: '',
  method: '',
  plan: '',
  parent: '',
  cause: '',
  requestedBy: '',
  startedAt: 0,
  endedAt: 0,
  deadlineAt: 0,
  steps: [],
  downtimeMs: 0,
  handoverMs: 0,
  doneBytes: 0,
  totalBytes: 0,
  error: '',
  outcome: '',
  nextCommand: '',
  reservation: undefined,
  settledAt: 0,
  point: '',
  pauseMs: 0,
  recoveryMs: 0,
}

export interface OperationStore {
  add(operation: OperationRecord): void
  get(id: string): OperationRecord | undefined
  update(id: string, change: Partial<Omit<OperationRecord, 'id'>>): void
  /** Newest first. */
  list(filter: { all: boolean; limit: number }): OperationRecord[]
  active(): OperationRecord[]
  /** Those of a kind that ended as done, the newest first. */
  done(kind: OperationKind, limit: number): OperationRecord[]
  /** The one that changes the VM. */
  activeOf(vmId: string): OperationRecord | undefined
  /** One that only reads of it. */
  readingOf(vmId: string, kind: OperationKind): OperationRecord | undefined
  children(parent: string): OperationRecord[]
  /** Ended in needs-admin and not settled. */
  unsettled(): OperationRecord[]
  settleOf(vmId: string, now: number): void
  /** Ended before that time, and nobody waits for an answer to it. */
  endedBefore(at: number): OperationRecord[]
  remove(id: string): void
}

const ROWS = createRowMap<OperationRecord, OperationTable>(
  {
    id: 'id',
    kind: 'kind',
    state: 'state',
    vmId: 'vm_id',
    vm: 'vm',
    from: 'source',
    to: 'target',
    method: 'method',
    plan: 'plan',
    parent: 'parent',
    cause: 'cause',
    requestedBy: 'requested_by',
    startedAt: 'started_at',
    endedAt: 'ended_at',
    deadlineAt: 'deadline_at',
    steps: 'steps',
    downtimeMs: 'downtime_ms',
    handoverMs: 'handover_ms',
    doneBytes: 'done_bytes',
    totalBytes: 'total_bytes',
    error: 'error',
    outcome: 'outcome',
    nextCommand: 'next_command',
    reservation: 'reservation',
    settledAt: 'settled_at',
    point: 'point',
    pauseMs: 'pause_ms',
    recoveryMs: 'recovery_ms',
  },
  ['steps', 'reservation'],
)

/** Over the table `operations`, which itself refuses a second operation at work on a VM. */
export function createOperationStore(sql: Sql): OperationStore {
  const select = () => sql.build.selectFrom('operations').selectAll()
  // rowid, not id: o10 sorts before o9 as text.
  const many = (query: ReturnType<typeof select>) => sql.all(query).map(ROWS.fromRow)
  return {
    add: operation => {
      sql.run(sql.build.insertInto('operations').values(ROWS.toRow(operation) as unknown as OperationTable))
    },
    get: id => {
      const row = sql.first(select().where('id', '=', id))
      return row && ROWS.fromRow(row)
    },
    update: (id, change) => {
      if (Object.keys(change).length === 0) return
      sql.run(sql.build.updateTable('operations').set(ROWS.toRow(change)).where('id', '=', id))
    },
    list: filter => {
      const query = select()
        .orderBy('rowid' as 'id', 'desc')
        .limit(filter.limit)
      return many(filter.all ? query : query.where('ended_at', '=', 0))
    },
    active: () =>
      many(
        select()
          .where('ended_at', '=', 0)
          .orderBy('rowid' as 'id'),
      ),
    done: (kind, limit) =>
      many(
        select()
          .where('kind', '=', kind)
          .where('state', '=', 'done')
          .orderBy('ended_at', 'desc')
          .limit(limit),
      ),
    activeOf: vmId => {
      const row = sql.first(
        select().where('vm_id', '=', vmId).where('ended_at', '=', 0).where('kind', 'not in', READING_KINDS),
      )
      return row && ROWS.fromRow(row)
    },
    readingOf: (vmId, kind) => {
      const row = sql.first(
        select().where('vm_id', '=', vmId).where('ended_at', '=', 0).where('kind', '=', kind),
      )
      return row && ROWS.fromRow(row)
    },
    children: parent =>
      many(
        select()
          .where('parent', '=', parent)
          .orderBy('rowid' as 'id'),
      ),
    unsettled: () =>
      many(
        select()
          .where('state', '=', 'needs-admin')
          .where('settled_at', '=', 0)
          .orderBy('rowid' as 'id'),
      ),
    endedBefore: at =>
      many(
        select()
          .where('ended_at', '>', 0)
          .where('ended_at', '<', at)
          .where(row => row.or([row('state', '<>', 'needs-admin'), row('settled_at', '>', 0)])),
      ),
    remove: id => {
      sql.run(sql.build.deleteFrom('operations').where('id', '=', id))
    },
    settleOf: (vmId, now) => {
      sql.run(
        sql.build
          .updateTable('operations')
          .set({ settled_at: now })
          .where('vm_id', '=', vmId)
          .where('state', '=', 'needs-admin')
          .where('settled_at', '=', 0),
      )
    },
  }
}
