import { OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Command } from '../../proto/gen/lifeboat/v1/types.ts'
import type { Sql } from './sql.ts'
import type { OrderTable } from './tables.ts'

/** One step an agent said it was at, and since when (by the controller's clock). */
export interface AgentStep {
  readonly name: string
  readonly startedAt: number
}

/** What is known of an order's course. The status of an ended one is kept: it answers a repeated question. */
export interface OrderRecord {
  readonly id: string
  readonly operation: string
  readonly blade: string
  readonly state: string
  readonly status: OrderStatus
  readonly agentSteps: readonly AgentStep[]
  readonly commands: readonly Command[]
  /** 0: not ended. */
  readonly endedAt: number
}

export interface OrderStore {
  get(id: string): OrderRecord | undefined
  save(order: OrderRecord): void
  ofOperation(operation: string): OrderRecord[]
  removeOf(operation: string): void
}

/** Over the table `orders`. */
export function createOrderStore(sql: Sql): OrderStore {
  return {
    get: id => {
      const row = sql.first(sql.build.selectFrom('orders').selectAll().where('id', '=', id))
      return row && fromRow(row)
    },
    save: order => {
      const values = {
        operation: order.operation,
        blade: order.blade,
        state: order.state,
        // The commands have their own column: the longest list is kept, whatever a later status carries.
        status: JSON.stringify({ ...order.status, commands: [] }),
        agent_steps: JSON.stringify(order.agentSteps),
        commands: JSON.stringify(order.commands),
        ended_at: order.endedAt,
      }
      sql.run(
        sql.build
          .insertInto('orders')
          .values({ id: order.id, ...values })
          .onConflict(conflict => conflict.column('id').doUpdateSet(values)),
      )
    },
    removeOf: operation => {
      sql.run(sql.build.deleteFrom('orders').where('operation', '=', operation))
    },
    ofOperation: operation =>
      sql
        .all(
          sql.build
            .selectFrom('orders')
            .selectAll()
            .where('operation', '=', operation)
            .orderBy('rowid' as 'id'),
        )
        .map(fromRow),
  }
}

function fromRow(row: OrderTable): OrderRecord {
  return {
    id: row.id,
    operation: row.operation,
    blade: row.blade,
    state: row.state,
    status: OrderStatus.fromPartial(JSON.parse(row.status)),
    agentSteps: JSON.parse(row.agent_steps),
    commands: JSON.parse(row.commands),
    endedAt: row.ended_at,
  }
}
