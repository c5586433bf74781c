import type { Clock } from '../../shared/clock.ts'
import { MINUTE_MS, SECOND_MS } from '../../shared/domain/units.ts'
import type { Logger } from '../../shared/log.ts'
import type { Store } from '../store/store.ts'
import { deliveryError, type Notifier } from './notifiers.ts'

/** Delivers what stands in the outbox: at least once, in the order of each alert, across restarts. */
export interface Outbox {
  readonly notifiers: readonly string[]
  /** Begins a delivery of all that is due, unless one is going on. Returns at once. */
  deliver(): void
  /** Resolves when the delivery going on has ended. */
  idle(): Promise<void>
}

/** 5 s doubled at each failure, at most 15 min: a receiver that is away for the night is not hammered. */
export function retryDelayMs(attempts: number): number {
  return Math.min(15 * MINUTE_MS, 5 * SECOND_MS * 2 ** Math.min(attempts, 20))
}

/** More than ever wait together, unless nobody has looked for weeks. */
const BATCH = 500

/** Notifiers are known by their names; what stands in the outbox for one that is not configured any more is dropped. */
export function createOutbox(options: {
  store: Store
  notifiers: readonly Notifier[]
  clock: Clock
  log: Logger
}): Outbox {
  const { store, clock, log } = options
  const notifiers = new Map(options.notifiers.map(notifier => [notifier.name, notifier]))
  let current: Promise<void> | undefined

  const deliverDue = async () => {
    // A receiver that is away is asked once a round, not once for each message.
    const away = new Set<string>()
    // "Cleared" must not overtake "raised": a message waits for the earlier ones of its alert, and for no others.
    const held = new Set<string>()
    for (const entry of store.outbox.waiting(BATCH)) {
      const line = `${entry.notifier} ${entry.alert}`
      if (away.has(entry.notifier) || held.has(line)) continue
      if (entry.nextAttemptAt > clock.now()) {
        held.add(line)
        continue
      }
      const notifier = notifiers.get(entry.notifier)
      if (notifier === undefined) {
        // Configured when the alert was raised, and no longer: there is nobody to tell.
        store.outbox.delivered(entry.seq, clock.now())
        continue
      }
      try {
        await notifier.notify({ dedupeKey: entry.dedupeKey, payload: entry.payload })
        store.outbox.delivered(entry.seq, clock.now())
        const alert = store.alerts.get(entry.alert)
        if (alert !== undefined && alert.deliveredAt === 0 && store.outbox.waitingOf(entry.alert) === 0) {
          store.alerts.update(entry.alert, { deliveredAt: clock.now() })
        }
      } catch (error) {
        away.add(entry.notifier)
        const delayMs = retryDelayMs(entry.attempts)
        store.outbox.failed(entry.seq, clock.now() + delayMs, deliveryError(error))
        log.warn(
          `alert ${entry.alert} not delivered by ${entry.notifier}, tried again in ${delayMs / SECOND_MS} s`,
          {
            error: deliveryError(error),
          },
        )
      }
    }
  }

  return {
    notifiers: [...notifiers.keys()],
    deliver: () => {
      if (current !== undefined) return
      current = deliverDue()
        .catch(error => log.error('delivery of alerts failed', { error: deliveryError(error) }))
        .finally(() => {
          current = undefined
        })
    },
    idle: () => current ?? Promise.resolve(),
  }
}
