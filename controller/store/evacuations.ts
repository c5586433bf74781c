import type { Method } from '../../shared/domain/operation.ts'
import type { MoveRole } from '../placement/plan.ts'
import type { Sql } from './sql.ts'
import type { EvacuationMoveTable } from './tables.ts'

export const EVACUATION_MOVE_STATES = {
  planned: 'waits for its turn',
  running: 'its operation works',
  done: 'the VM runs (or lies) at the target',
  failed: 'its operation ended otherwise; not retried blindly (rule 10)',
  skipped: 'refused by the re-check, or aborted before it began',
} as const
export type EvacuationMoveState = keyof typeof EVACUATION_MOVE_STATES

export interface EvacuationMove {
  readonly seq: number
  /** The plan this move is from: a re-planned VM names a younger one than its evacuation. */
  readonly plan: string
  readonly vmId: string
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly method: Method
  readonly role: MoveRole
  /** Ids of VMs: their moves come first. */
  readonly needs: readonly string[]
  readonly memoryBytes: number
  readonly volumeBytes: number
  readonly state: EvacuationMoveState
  readonly operation: string
  readonly error: string
}

export interface EvacuationRecord {
  /** Its operation, and its id. */
  readonly operation: string
  readonly plan: string
  /** Empty: the fleet is rebalanced. */
  readonly blade: string
  readonly cause: string
  /** The case that asked for it; empty when a person did. */
  readonly caseKey: string
  readonly caseId: string
  readonly state: 'running' | 'aborting' | 'ended'
  readonly startedAt: number
  readonly endedAt: number
  readonly moves: readonly EvacuationMove[]
}

/** Its VM is on its way to the target, or is to begin it: it has neither arrived nor stayed for good. */
export function isComing({ state }: Pick<EvacuationMove, 'state'>): boolean {
  return state === 'planned' || state === 'running'
}

/** Begun for a case, and by nobody's order. */
export function isAutomatic({ caseId }: Pick<EvacuationRecord, 'caseId'>): boolean {
  return caseId !== ''
}

/** `blade03 is being emptied`; a plan for no single blade is a rebalancing. */
export function wordsOf({ blade }: Pick<EvacuationRecord, 'blade'>): string {
  return blade === '' ? 'the fleet is being rebalanced' : `${blade} is being emptied`
}

export interface EvacuationStore {
  add(evacuation: EvacuationRecord): void
  get(operation: string): EvacuationRecord | undefined
  /** In the order in which they were begun. */
  active(): EvacuationRecord[]
  /** Newest evacuation of each blade that has ended. */
  lastEndedOf(blade: string): EvacuationRecord | undefined
  /** Ids of the cases that had an evacuation: handled, never repeated by itself. */
  handledCases(): { caseKey: string; caseId: string; blade: string }[]
  setState(operation: string, state: EvacuationRecord['state'], endedAt: number): void
  addMove(operation: string, move: EvacuationMove): void
  updateMove(
    operation: string,
    seq: number,
    change: Partial<Pick<EvacuationMove, 'state' | 'operation' | 'error'>>,
  ): void
  ofPlan(plan: string): EvacuationRecord | undefined
}

/** Over the tables `evacuations` and `evacuation_moves`. */
export function createEvacuationStore(sql: Sql): EvacuationStore {
  const select = () => sql.build.selectFrom('evacuations').selectAll()
  type Row = NonNullable<ReturnType<typeof firstRow>>
  const firstRow = (query: ReturnType<typeof select>) => sql.first(query)
  const moves = (operation: string) =>
    sql
      .all(
        sql.build
          .selectFrom('evacuation_moves')
          .selectAll()
          .where('evacuation', '=', operation)
          .orderBy('seq'),
      )
      .map(fromMoveRow)
  const fromRow = (row: Row): EvacuationRecord => ({
    operation: row.operation,
    plan: row.plan,
    blade: row.blade,
    cause: row.cause,
    caseKey: row.case_key,
    caseId: row.case_id,
    state: row.state as EvacuationRecord['state'],
    startedAt: row.started_at,
    endedAt: row.ended_at,
    moves: moves(row.operation),
  })
  const one = (query: ReturnType<typeof select>) => {
    const row = firstRow(query)
    return row && fromRow(row)
  }
  const addMove = (operation: string, move: EvacuationMove) => {
    sql.run(sql.build.insertInto('evacuation_moves').values(toMoveRow(operation, move)))
  }
  return {
    add: evacuation =>
      sql.transaction(() => {
        sql.run(
          sql.build.insertInto('evacuations').values({
            operation: evacuation.operation,
            plan: evacuation.plan,
            blade: evacuation.blade,
            cause: evacuation.cause,
            case_key: evacuation.caseKey,
            case_id: evacuation.caseId,
            state: evacuation.state,
            started_at: evacuation.startedAt,
            ended_at: evacuation.endedAt,
          }),
        )
        for (const move of evacuation.moves) addMove(evacuation.operation, move)
      }),
    get: operation => one(select().where('operation', '=', operation)),
    active: () =>
      sql
        .all(
          select()
            .where('ended_at', '=', 0)
            .orderBy('rowid' as 'plan'),
        )
        .map(fromRow),
    lastEndedOf: blade =>
      one(
        select()
          .where('blade', '=', blade)
          .where('ended_at', '>', 0)
          .orderBy('rowid' as 'plan', 'desc')
          .limit(1),
      ),
    handledCases: () =>
      sql.all(
        sql.build
          .selectFrom('evacuations')
          .select(['case_key as caseKey', 'case_id as caseId', 'blade'])
          .where('case_id', '<>', ''),
      ),
    setState: (operation, state, endedAt) => {
      sql.run(
        sql.build
          .updateTable('evacuations')
          .set({ state, ended_at: endedAt })
          .where('operation', '=', operation),
      )
    },
    addMove,
    updateMove: (operation, seq, change) => {
      sql.run(
        sql.build
          .updateTable('evacuation_moves')
          .set(change)
          .where('evacuation', '=', operation)
          .where('seq', '=', seq),
      )
    },
    ofPlan: plan => {
      const direct = one(select().where('plan', '=', plan))
      if (direct !== undefined) return direct
      const row = sql.first(
        sql.build.selectFrom('evacuation_moves').select('evacuation').where('plan', '=', plan).limit(1),
      )
      return row && one(select().where('operation', '=', row.evacuation))
    },
  }
}

function toMoveRow(evacuation: string, move: EvacuationMove): EvacuationMoveTable {
  return {
    evacuation,
    seq: move.seq,
    plan: move.plan,
    vm_id: move.vmId,
    vm: move.vm,
    source: move.from,
    target: move.to,
    method: move.method,
    role: move.role,
    needs: JSON.stringify(move.needs),
    memory_bytes: move.memoryBytes,
    volume_bytes: move.volumeBytes,
    state: move.state,
    operation: move.operation,
    error: move.error,
  }
}

function fromMoveRow(row: EvacuationMoveTable): EvacuationMove {
  return {
    seq: row.seq,
    plan: row.plan,
    vmId: row.vm_id,
    vm: row.vm,
    from: row.source,
    to: row.target,
    method: row.method as Method,
    role: row.role as MoveRole,
    needs: JSON.parse(row.needs) as string[],
    memoryBytes: row.memory_bytes,
    volumeBytes: row.volume_bytes,
    state: row.state as EvacuationMoveState,
    operation: row.operation,
    error: row.error,
  }
}
