import type { Order, OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { isEndedOrder } from '../../shared/domain/operation.ts'
import { errorCode, formatErrorChain } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { SagaView } from '../../shared/saga/definition.ts'
import type { SagaJournal } from '../../shared/saga/journal.ts'
import type { SagaRunner } from '../../shared/saga/runner.ts'
import type { MoveStore } from '../store/move-store.ts'
import type { OrderRow, OrderStore } from '../store/order-store.ts'
import type { VmMarks } from '../store/vm-marks.ts'
import { buildRefusal, buildStatus, orderStateOf } from './order-status.ts'
import { decideOrder, type Known, type OrderHeader } from './orders.ts'
import { type ReadOrder, readOrder } from './read-order.ts'
import type { OperationServices } from './services.ts'

/** Where orders come in, and what is known of each goes out. */
export interface OrderDesk {
  /** The answer is told by `onStatus`: at once, and at every change after. */
  take(order: Order): void
  abort(orderId: string): void
  /** The controller has stored the end of the order: all but a memory of it is dropped. */
  acknowledge(orderId: string): void
  status(orderId: string): OrderStatus | undefined
  /** Every order the controller may still want to hear of. */
  statuses(): readonly OrderStatus[]
  /** Orders at work, with their progress; cheap. */
  working(): readonly { readonly orderId: string; readonly doneBytes: number }[]
  /** Called by the saga runner. */
  onSaga(view: SagaView): void
  /** Takes up what an earlier process left. Call once, before the first order. */
  resume(): void
}

export interface OrderDeskOptions {
  readonly blade: string
  readonly orders: OrderStore
  readonly moves: MoveStore
  readonly marks: VmMarks
  readonly journal: SagaJournal
  readonly runner: () => SagaRunner<OperationServices>
  readonly nameOf: (vmId: string) => string
  readonly clock: Clock
  readonly log: Logger
  readonly onStatus: (status: OrderStatus) => void
  readonly tell: (kind: string, vm: string, text: string) => void
}

/**
 * Acceptance is two writes: the order's row, then its saga. A kill between them leaves a row without a saga, which
 * `resume` starts: an accepted order is carried out exactly once.
 */
export function createOrderDesk(options: OrderDeskOptions): OrderDesk {
  const { orders, marks, clock, log, onStatus } = options
  const runner = (): SagaRunner<OperationServices> => options.runner()

  function statusOf(row: OrderRow): OrderStatus {
    const view = runner().view(row.orderId)
    const progress = isEndedOrder(row.state)
      ? { doneBytes: 0, totalBytes: 0 }
      : runner().progress(row.orderId)
    return buildStatus({ blade: options.blade, row, view, progress, commands: orders.commands(row.orderId) })
  }

  function tellStatus(orderId: string): void {
    const row = orders.load(orderId)
    if (row !== undefined) onStatus(statusOf(row))
  }

  function refuse(order: Order, code: string, message: string): void {
    log.warn('order refused', { order: order.orderId, code, reason: message })
    options.tell('order-refused', options.nameOf(order.vmId), message)
    onStatus(buildRefusal(order.orderId, order.generation, code, message))
  }

  function accept({ header, vmName, params }: ReadOrder): void {
    orders.accept({ ...header, vmName, params, acceptedAt: clock.now() })
    marks.raiseGeneration(header.vmId, header.generation)
    log.info(`vm ${vmName}: ${header.kind} accepted`, {
      order: header.orderId,
      generation: header.generation,
    })
    runner().start(header.kind, header.orderId, params, header.deadlineAt)
    tellStatus(header.orderId)
  }

  /** A full disk can leave a row without a saga, as a kill can: the order would never end, and hold its VM's lane. */
  function startIfNot(row: OrderRow): void {
    if (isEndedOrder(row.state) || runner().view(row.orderId) !== undefined) return
    runner().start(row.kind, row.orderId, row.params, row.deadlineAt)
  }

  return {
    take: order => {
      let read: ReadOrder
      try {
        read = readOrder(order, options.nameOf)
      } catch (error) {
        refuse(order, errorCode(error), formatErrorChain(error))
        return
      }
      const decision = decideOrder(read.header, readKnown(options, read.header), clock.now())
      if (decision.action === 'refuse') refuse(order, decision.code, decision.message)
      else if (decision.action === 'run') accept(read)
      else {
        const row = orders.load(order.orderId)
        if (row !== undefined) startIfNot(row)
        tellStatus(order.orderId)
      }
    },
    abort: orderId => {
      const row = orders.load(orderId)
      if (row === undefined) {
        // Its order may still come, after a reconnect; it must find that it is not wanted any more.
        orders.refuseUnseen(orderId, clock.now())
      } else if (!isEndedOrder(row.state)) {
        log.info(`vm ${row.vmName}: ${row.kind} is to be aborted`, { order: orderId })
        startIfNot(row)
        runner().abort(orderId)
      }
      tellStatus(orderId)
    },
    acknowledge: orderId => {
      const row = orders.load(orderId)
      if (row === undefined || !isEndedOrder(row.state)) return
      orders.acknowledge(orderId)
      if (options.journal.load(orderId) !== undefined) options.journal.forget(orderId)
    },
    status: orderId => {
      const row = orders.load(orderId)
      return row === undefined ? undefined : statusOf(row)
    },
    statuses: () => orders.unacknowledged().map(statusOf),
    working: () =>
      orders.unended().map(({ orderId }) => ({ orderId, doneBytes: runner().progress(orderId).doneBytes })),
    onSaga: view => {
      recordSaga(options, view)
      tellStatus(view.id)
    },
    resume: () => {
      runner().resume()
      for (const row of orders.unended()) {
        startIfNot(row)
        const view = runner().view(row.orderId)
        // Killed between the saga's last entry and the row's end.
        if (view !== undefined && view.endedAt > 0) recordSaga(options, view)
      }
    },
  }
}

function readKnown({ orders, moves, marks }: OrderDeskOptions, header: OrderHeader): Known {
  return {
    sameOrder: orders.load(header.orderId),
    ...marks.of(header.vmId),
    working: orders.working(header.vmId),
    backingUp: orders.backingUp(header.vmId),
    move: moves.openOf(header.vmId),
  }
}

/** Writes an order's end once, with its one line in the log. */
function recordSaga({ orders, clock, log }: OrderDeskOptions, view: SagaView): void {
  const row = orders.load(view.id)
  if (row === undefined || isEndedOrder(row.state)) return
  const state = orderStateOf(view)
  if (!isEndedOrder(state)) {
    if (row.state === 'accepted') orders.setRunning(view.id)
    return
  }
  const errorMessage = state === 'done' ? '' : view.error
  const code = state === 'done' ? '' : view.errorCode || 'internal'
  orders.end(view.id, { state, errorCode: code, errorMessage, endedAt: view.endedAt || clock.now() })
  const level = state === 'done' ? 'info' : 'warn'
  log[level](`vm ${row.vmName}: ${row.kind} ${row.state} => ${state}`, {
    order: row.orderId,
    ...(code === '' ? {} : { code, reason: errorMessage }),
  })
}
