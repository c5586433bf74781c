import type Database from 'better-sqlite3'
import type { CommandRecord, OrderState } from '../../shared/domain/operation.ts'
import type { Json } from '../../shared/saga/definition.ts'

/** An order this agent accepted, and what became of it. */
export interface OrderRow {
  readonly orderId: string
  readonly kind: string
  readonly vmId: string
  readonly vmName: string
  readonly generation: number
  readonly epoch: number
  readonly deadlineAt: number
  readonly params: Json
  readonly state: OrderState
  readonly errorCode: string
  readonly errorMessage: string
  readonly acceptedAt: number
  readonly endedAt: number
  /** The controller has stored the end; only the row itself is kept, so that a late copy of the order does nothing. */
  readonly acknowledged: boolean
}

export type NewOrder = Omit<OrderRow, 'state' | 'errorCode' | 'errorMessage' | 'endedAt' | 'acknowledged'>

export interface OrderEnd {
  readonly state: OrderState
  readonly errorCode: string
  readonly errorMessage: string
  readonly endedAt: number
}

/** Commands kept per order: a step that retries for an hour must not fill the disk. The first ones tell the most. */
export const COMMANDS_PER_ORDER = 500
/** Acknowledged orders remembered to refuse a late copy; older ones are covered by their generation. */
const REMEMBERED_ORDERS = 2000

export interface OrderStore {
  accept(order: NewOrder): void
  load(orderId: string): OrderRow | undefined
  setRunning(orderId: string): void
  end(orderId: string, end: OrderEnd): void
  /** Accepted or running: what must be taken up after a start. */
  unended(): readonly OrderRow[]
  /** Every order whose end the controller has not stored yet. */
  unacknowledged(): readonly OrderRow[]
  /** The one order that works on the VM, if any: the lane of a VM is one wide. Backups stand aside and do not count. */
  working(vmId: string): OrderRow | undefined
  /** The order that backs the VM up, if any. */
  backingUp(vmId: string): OrderRow | undefined
  /** Drops commands; the row stays as a memory. */
  acknowledge(orderId: string): void
  addCommand(orderId: string, record: CommandRecord): void
  commands(orderId: string): readonly CommandRecord[]
  dropCommands(key: string): void
  /** Commands kept under one key become commands of the order, after those it has. */
  claimCommands(fromKey: string, orderId: string): void
  /** An abort came before its order: the order is remembered as refused. */
  refuseUnseen(orderId: string, now: number): void
}

interface OrderSqlRow {
  order_id: string
  kind: string
  vm_id: string
  vm_name: string
  generation: number
  epoch: number
  deadline_at: number
  params: string
  state: string
  error_code: string
  error_message: string
  accepted_at: number
  ended_at: number
  acknowledged: number
}

/** Orders and their commands in the agent's database. */
export function createOrderStore(db: Database.Database): OrderStore {
  const insert = db.prepare(
    `INSERT INTO orders (order_id, kind, vm_id, vm_name, generation, epoch, deadline_at, params, state, accepted_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'accepted', ?)`,
  )
  const byId = db.prepare('SELECT * FROM orders WHERE order_id = ?')
  const running = db.prepare(`UPDATE orders SET state = 'running' WHERE order_id = ? AND state = 'accepted'`)
  const ended = db.prepare(
    'UPDATE orders SET state = ?, error_code = ?, error_message = ?, ended_at = ? WHERE order_id = ? AND ended_at = 0',
  )
  const unended = db.prepare('SELECT * FROM orders WHERE ended_at = 0 ORDER BY accepted_at, order_id')
  const open = db.prepare('SELECT * FROM orders WHERE acknowledged = 0 ORDER BY accepted_at, order_id')
  const working = db.prepare(
    `SELECT * FROM orders WHERE vm_id = ? AND ended_at = 0 AND kind <> 'backup-vm' ORDER BY accepted_at LIMIT 1`,
  )
  const backingUp = db.prepare(
    `SELECT * FROM orders WHERE vm_id = ? AND ended_at = 0 AND kind = 'backup-vm' ORDER BY accepted_at LIMIT 1`,
  )
  const acknowledge = db.prepare('UPDATE orders SET acknowledged = 1 WHERE order_id = ? AND ended_at > 0')
  const dropCommands = db.prepare('DELETE FROM order_commands WHERE order_id = ?')
  const prune = db.prepare(
    `DELETE FROM orders WHERE acknowledged = 1 AND order_id NOT IN
       (SELECT order_id FROM orders WHERE acknowledged = 1 ORDER BY ended_at DESC LIMIT ${REMEMBERED_ORDERS})`,
  )
  const addCommand = db.prepare(
    `INSERT INTO order_commands (order_id, number, record)
     SELECT ?, count(*) + 1, ? FROM order_commands WHERE order_id = ? HAVING count(*) < ${COMMANDS_PER_ORDER}`,
  )
  const commands = db.prepare('SELECT record FROM order_commands WHERE order_id = ? ORDER BY number')
  const refuseUnseen = db.prepare(
    `INSERT INTO orders (order_id, kind, vm_id, vm_name, generation, epoch, deadline_at, params, state,
                         error_code, error_message, accepted_at, ended_at)
     VALUES (?, '', '', '', 0, 0, 0, 'null', 'refused', 'aborted', 'aborted before it arrived', ?, ?)
     ON CONFLICT (order_id) DO NOTHING`,
  )
  const rows = (found: unknown[]): OrderRow[] => found.map(row => toOrder(row as OrderSqlRow))

  return {
    accept: order => {
      insert.run(
        order.orderId,
        order.kind,
        order.vmId,
        order.vmName,
        order.generation,
        order.epoch,
        order.deadlineAt,
        JSON.stringify(order.params),
        order.acceptedAt,
      )
    },
    load: orderId => rows(byId.all(orderId))[0],
    setRunning: orderId => void running.run(orderId),
    end: (orderId, end) =>
      void ended.run(end.state, end.errorCode, end.errorMessage, Math.max(1, end.endedAt), orderId),
    unended: () => rows(unended.all()),
    unacknowledged: () => rows(open.all()),
    working: vmId => rows(working.all(vmId))[0],
    backingUp: vmId => rows(backingUp.all(vmId))[0],
    acknowledge: db.transaction((orderId: string) => {
      if (acknowledge.run(orderId).changes === 0) return
      dropCommands.run(orderId)
      prune.run()
    }),
    addCommand: (orderId, record) => void addCommand.run(orderId, JSON.stringify(record), orderId),
    commands: orderId =>
      (commands.all(orderId) as { record: string }[]).map(row => JSON.parse(row.record) as CommandRecord),
    dropCommands: key => void dropCommands.run(key),
    claimCommands: db.transaction((fromKey: string, orderId: string) => {
      for (const row of commands.all(fromKey) as { record: string }[])
        addCommand.run(orderId, row.record, orderId)
      dropCommands.run(fromKey)
    }),
    refuseUnseen: (orderId, now) => void refuseUnseen.run(orderId, now, now),
  }
}

function toOrder(row: OrderSqlRow): OrderRow {
  return {
    orderId: row.order_id,
    kind: row.kind,
    vmId: row.vm_id,
    vmName: row.vm_name,
    generation: row.generation,
    epoch: row.epoch,
    deadlineAt: row.deadline_at,
    params: JSON.parse(row.params) as Json,
    state: row.state as OrderState,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    acceptedAt: row.accepted_at,
    endedAt: row.ended_at,
    acknowledged: row.acknowledged === 1,
  }
}
