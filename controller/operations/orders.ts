import { type Order, OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { isEndedOrder } from '../../shared/domain/operation.ts'
import { MINUTE_MS, SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Sessions } from '../fleet/sessions.ts'
import type { OrderRecord } from '../store/orders.ts'
import type { Store } from '../store/store.ts'

/** The agent ends an order at its deadline by itself; this much later it is not going to tell any more. */
const TELL_GRACE_MS = 2 * MINUTE_MS
/** How long an abort waits for a blade that is not connected; a reconnect takes at most 10 s. */
const ABORT_GRACE_MS = 60 * SECOND_MS

export interface ExecuteOptions {
  /** Aborted: the agent is told to abort, and its answer is awaited (what it has done must be known). */
  readonly signal: AbortSignal
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

/**
 * Orders to agents. INVARIANTS: one order id is carried out once however often it is sent; an end is stored before
 * the agent is told that it may forget the order; whoever asks for an ended order again gets the stored end.
 */
export interface Orders {
  /**
   * Sends now, or when the blade connects, and again after each reconnect; resolves with the ended status.
   * Errors: `unavailable` when the blade did not tell in time, `aborted` when the controller stops.
   */
  execute(blade: string, order: Order, options: ExecuteOptions): Promise<OrderStatus>
  /** A status from the blade's session. */
  received(blade: string, status: OrderStatus): void
  /** The blade has connected: what waits for it is sent again. */
  connected(blade: string): void
  /** Everything that waits is rejected as `aborted` without telling the agents: they go on, and tell later. */
  close(): void
}

interface Waiting {
  readonly blade: string
  readonly order: Order
  readonly progress: ((doneBytes: number, totalBytes: number) => void)[]
  readonly done: PromiseWithResolvers<OrderStatus>
  abortRequested: boolean
}

export interface OrdersOptions {
  readonly store: Store
  readonly sessions: Sessions
  readonly clock: Clock
  readonly log: Logger
  /** Something a person may look at has changed. */
  readonly onStatus: (operation: string) => void
}

/** Waits are in memory, orders and their ends in the store: a saga that is taken up asks again. */
export function createOrders({ store, sessions, clock, log, onStatus }: OrdersOptions): Orders {
  const waiting = new Map<string, Waiting>()
  let closing = false

  const send = (entry: Waiting) => {
    if (!sessions.isConnected(entry.blade)) return
    // Written before it goes out: an order without a record was certainly never given.
    if (store.orders.get(entry.order.orderId) === undefined) store.orders.save(sentRecord(entry))
    sessions.send(entry.blade, { kind: { $case: 'order', value: entry.order } })
    if (entry.abortRequested) sendAbort(entry.blade, entry.order.orderId)
  }
  const sendAbort = (blade: string, orderId: string) =>
    sessions.send(blade, { kind: { $case: 'abortOrder', value: { orderId } } })

  const execute = async (blade: string, order: Order, options: ExecuteOptions): Promise<OrderStatus> => {
    if (closing) throw stopping()
    const ended = store.orders.get(order.orderId)
    if (ended !== undefined && ended.endedAt > 0) return { ...ended.status, commands: [...ended.commands] }
    const known = waiting.get(order.orderId)
    const entry = known ?? newEntry(blade, order)
    if (options.onProgress) entry.progress.push(options.onProgress)
    if (known === undefined) {
      waiting.set(order.orderId, entry)
      send(entry)
    }
    const timers = new AbortController()
    const onAbort = () => {
      if (closing) return
      entry.abortRequested = true
      sendAbort(blade, order.orderId)
      giveUpWhenAway(entry, timers.signal)
    }
    if (options.signal.aborted) onAbort()
    else options.signal.addEventListener('abort', onAbort, { once: true })
    giveUpAtDeadline(entry, timers.signal)
    try {
      return await entry.done.promise
    } finally {
      waiting.delete(order.orderId)
      timers.abort()
      options.signal.removeEventListener('abort', onAbort)
    }
  }

  const giveUpAtDeadline = (entry: Waiting, signal: AbortSignal) => {
    const limitMs = entry.order.deadlineAt + TELL_GRACE_MS - clock.now()
    void clock.sleep(Math.max(0, limitMs), signal).then(() => {
      if (!signal.aborted) entry.done.reject(silentBlade(entry))
    })
  }
  // An order whose blade is away may never have begun, or may be going on: nobody can know, so nobody waits an hour.
  const giveUpWhenAway = (entry: Waiting, signal: AbortSignal) => {
    void clock.sleep(ABORT_GRACE_MS, signal).then(() => {
      if (!signal.aborted && !sessions.isConnected(entry.blade)) entry.done.reject(silentBlade(entry))
    })
  }

  return {
    execute,
    received: (blade, status) => {
      const entry = waiting.get(status.orderId)
      const operation = operationOf(status.orderId)
      if (store.operations.get(operation) === undefined) {
        // From another controller's database, or removed: nobody will ever ask, so the agent may forget it.
        log.warn(`blade ${blade}: order ${status.orderId} belongs to no operation known here`)
        if (isEndedOrder(status.state)) sendEndSeen(sessions, blade, status.orderId)
        else sendAbort(blade, status.orderId)
        return
      }
      // An order has its record before it goes out. A status without one, or from another blade, answers an order of
      // that name from another life of this database (a restored backup), or is a lie: it must end nothing here.
      const given = store.orders.get(status.orderId)
      const isAnswer =
        given?.blade === blade &&
        (status.generation === given.status.generation || status.state === 'refused')
      if (!isAnswer) {
        log.warn(`blade ${blade}: status of order ${status.orderId}, which was not given to it: ignored`)
        if (isEndedOrder(status.state)) sendEndSeen(sessions, blade, status.orderId)
        return
      }
      const record = fold(given, operation, blade, status, clock.now())
      if (record !== undefined) store.orders.save(record)
      if (status.totalBytes > 0) {
        for (const tell of entry?.progress ?? []) tell(status.doneBytes, status.totalBytes)
      }
      onStatus(operation)
      if (isEndedOrder(status.state)) {
        sendEndSeen(sessions, blade, status.orderId)
        entry?.done.resolve(
          OrderStatus.fromPartial({ ...status, commands: [...(record?.commands ?? status.commands)] }),
        )
      } else if (entry === undefined && (store.operations.get(operation)?.endedAt ?? 0) > 0) {
        // The operation gave the order up; what still works on it must stop.
        sendAbort(blade, status.orderId)
      }
    },
    connected: blade => {
      for (const entry of waiting.values()) if (entry.blade === blade) send(entry)
    },
    close: () => {
      closing = true
      for (const entry of waiting.values()) entry.done.reject(stopping())
    },
  }
}

function newEntry(blade: string, order: Order): Waiting {
  return { blade, order, progress: [], done: Promise.withResolvers<OrderStatus>(), abortRequested: false }
}

function sentRecord({ blade, order }: Waiting): OrderRecord {
  return {
    id: order.orderId,
    operation: operationOf(order.orderId),
    blade,
    state: 'sent',
    status: OrderStatus.fromPartial({ orderId: order.orderId, generation: order.generation, state: 'sent' }),
    agentSteps: [],
    commands: [],
    endedAt: 0,
  }
}

/** `o17/send` → `o17` */
function operationOf(orderId: string): string {
  return orderId.split('/')[0] ?? ''
}

function sendEndSeen(sessions: Sessions, blade: string, orderId: string): void {
  sessions.send(blade, { kind: { $case: 'orderEndSeen', value: { orderId } } })
}

/** Undefined when nothing worth a write has changed: bytes that move are not. An end is never overwritten. */
function fold(
  old: OrderRecord | undefined,
  operation: string,
  blade: string,
  status: OrderStatus,
  now: number,
): OrderRecord | undefined {
  if (old !== undefined && old.endedAt > 0) return undefined
  const steps = old?.agentSteps ?? []
  const newStep = status.step !== '' && steps.at(-1)?.name !== status.step
  const commands =
    status.commands.length > (old?.commands.length ?? 0)
      ? status.commands.map(command => ({ ...command, blade: command.blade === '' ? blade : command.blade }))
      : (old?.commands ?? [])
  const same = old !== undefined && old.state === status.state && !newStep && commands === old.commands
  if (same) return undefined
  return {
    id: status.orderId,
    operation,
    blade,
    state: status.state,
    status,
    agentSteps: newStep ? [...steps, { name: status.step, startedAt: now }] : steps,
    commands,
    endedAt: isEndedOrder(status.state) ? now : 0,
  }
}

function silentBlade(entry: Waiting): LifeboatError {
  return new LifeboatError(
    'unavailable',
    `${entry.blade} does not tell what became of order ${entry.order.orderId}`,
  )
}

function stopping(): LifeboatError {
  return new LifeboatError('aborted', 'the controller stops')
}
