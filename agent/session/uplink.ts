import type { ClientDuplexStream } from '@grpc/grpc-js'
import type { FromAgent, OrderStatus, Report, ToAgent } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { isEndedOrder } from '../../shared/domain/operation.ts'
import type { EventSpool } from '../store/event-spool.ts'
import { createDueTable } from './due.ts'

export type SessionCall = ClientDuplexStream<FromAgent, ToAgent>

/** Changes gather for this long: a move changes inventory, facts and statuses within a moment. */
const GATHER_MS = 200
/** Of one order; its end goes at once. */
const STATUS_GAP_MS = 500
const PROGRESS_EVERY_MS = 1000
const EVENT_BATCH = 100

// '#' begins no order id.
const REPORT = '#report'
const EVENTS = '#events'
const PROGRESS = '#progress'

export interface UplinkOptions {
  readonly clock: Clock
  readonly spool: EventSpool
  /** The newest report; undefined until there is one. */
  readonly report: () => Report | undefined
  readonly status: (orderId: string) => OrderStatus | undefined
  /** Orders whose end the controller has not stored yet. */
  readonly owed: () => readonly string[]
  readonly working: () => readonly { readonly orderId: string; readonly doneBytes: number }[]
}

/**
 * What goes up one connection, in one place and one at a time: the newest report, the newest status of each order,
 * events in order. Nothing queues up but events, and those lie in the spool; when the controller reads slowly, what
 * is sent next is what is true then.
 */
export interface Uplink {
  reportChanged(): void
  statusChanged(status: OrderStatus): void
  eventAdded(): void
  /** Sends until the signal aborts. */
  run(call: SessionCall, reportIntervalMs: number, signal: AbortSignal): Promise<void>
}

/** One for the life of the agent: what is due outlives each connection. */
export function createUplink(options: UplinkOptions): Uplink {
  const { clock, spool } = options
  const due = createDueTable()
  /** Refusals have no row of their own to be read again from; they wait here. */
  const refusals = new Map<string, OrderStatus>()
  const lastSent = new Map<string, { at: number; doneBytes: number }>()
  let sentEvent = 0
  let wake: AbortController | undefined

  function set(key: string, at: number): void {
    due.set(key, at)
    wake?.abort()
  }

  async function sendStatus(call: SessionCall, orderId: string): Promise<void> {
    const status = refusals.get(orderId) ?? options.status(orderId)
    refusals.delete(orderId)
    if (status === undefined) return
    if (isEndedOrder(status.state)) lastSent.delete(orderId)
    else lastSent.set(orderId, { at: clock.now(), doneBytes: status.doneBytes })
    await write(call, { kind: { $case: 'orderStatus', value: status } })
  }

  async function sendEvents(call: SessionCall): Promise<void> {
    const events = spool.after(sentEvent, EVENT_BATCH)
    for (const { number, id, at, kind, vm, text } of events) {
      sentEvent = number
      await write(call, { kind: { $case: 'event', value: { id, at, kind, vm, text } } })
    }
    if (events.length === EVENT_BATCH) due.set(EVENTS, 0)
  }

  function checkProgress(): void {
    const now = clock.now()
    for (const { orderId, doneBytes } of options.working()) {
      if (lastSent.get(orderId)?.doneBytes !== doneBytes) due.set(orderId, now)
    }
    // Only while something works: an idle agent does not wake up for this.
    if (options.working().length > 0) due.set(PROGRESS, now + PROGRESS_EVERY_MS)
  }

  async function sendReport(call: SessionCall, intervalMs: number): Promise<void> {
    due.set(REPORT, clock.now() + intervalMs)
    const report = options.report()
    if (report !== undefined) await write(call, { kind: { $case: 'report', value: report } })
  }

  return {
    reportChanged: () => set(REPORT, clock.now() + GATHER_MS),
    statusChanged: status => {
      const { orderId } = status
      // A refusal that was not sent yet must not be told of an order that was accepted when it came again.
      if (status.state === 'refused') refusals.set(orderId, status)
      else refusals.delete(orderId)
      const now = clock.now()
      const last = lastSent.get(orderId)?.at ?? 0
      set(orderId, isEndedOrder(status.state) ? now : Math.max(now, last + STATUS_GAP_MS))
      due.set(PROGRESS, now + PROGRESS_EVERY_MS)
    },
    eventAdded: () => set(EVENTS, clock.now()),
    run: async (call, reportIntervalMs, signal) => {
      // `hello` told all orders, but one may have changed since: each is said once more, and nothing is lost.
      due.clear()
      lastSent.clear()
      sentEvent = 0
      due.set(REPORT, 0)
      due.set(EVENTS, 0)
      due.set(PROGRESS, 0)
      for (const orderId of [...refusals.keys(), ...options.owed()]) due.set(orderId, 0)
      while (!signal.aborted) {
        for (const key of due.take(clock.now())) {
          if (signal.aborted) return
          if (key === REPORT) await sendReport(call, reportIntervalMs)
          else if (key === EVENTS) await sendEvents(call)
          else if (key === PROGRESS) checkProgress()
          else await sendStatus(call, key)
        }
        const waitMs = (due.next() ?? Number.POSITIVE_INFINITY) - clock.now()
        if (waitMs <= 0) continue
        wake = new AbortController()
        await clock.sleep(Math.min(waitMs, reportIntervalMs), AbortSignal.any([wake.signal, signal]))
        wake = undefined
      }
    },
  }
}

/** Resolves when the message was taken; waits while the stream is full. A dead stream just swallows it. */
function write(call: SessionCall, message: FromAgent): Promise<void> {
  return new Promise(resolve => {
    if (call.destroyed || call.writableEnded) {
      resolve()
      return
    }
    if (call.write(message)) {
      resolve()
      return
    }
    const done = (): void => {
      call.off('drain', done)
      call.off('close', done)
      call.off('error', done)
      resolve()
    }
    call.on('drain', done)
    call.on('close', done)
    call.on('error', done)
  })
}
