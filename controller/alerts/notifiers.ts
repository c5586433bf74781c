import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'

/** One message to people. The payload is the Alert message of admin.proto as JSON. */
export interface Notice {
  /** Names this message for ever: a receiver that sees it twice may drop the second. */
  readonly dedupeKey: string
  readonly payload: string
}

/** One way to reach people. Rejects when the message was not taken; the outbox tries again. */
export interface Notifier {
  readonly name: string
  notify(notice: Notice): Promise<void>
}

interface NoticeAlert {
  readonly id: string
  readonly severity: string
  readonly title: string
  readonly text: string
  readonly clearedAt: number
  readonly nextCommand: string
}

/** Alerts in the journal of the controller: always there, whatever else is configured. */
export function createLogNotifier(log: Logger): Notifier {
  return {
    name: 'log',
    notify: async ({ payload }) => {
      const alert = JSON.parse(payload) as NoticeAlert
      const line = `alert ${alert.id} ${alert.clearedAt > 0 ? 'cleared' : alert.severity}: ${alert.title}`
      if (alert.clearedAt > 0 || alert.severity === 'info') log.info(line, { text: alert.text })
      else log.warn(line, { text: alert.text, next: alert.nextCommand })
    },
  }
}

/** A receiver that takes longer is as good as away; the message waits in the outbox. */
const WEBHOOK_TIMEOUT_MS = 10_000

/** POSTs the Alert as JSON. Any 2xx is "taken". `request` is fetch; tests give their own. */
export function createWebhookNotifier(url: string, request: typeof fetch = fetch): Notifier {
  return {
    name: 'webhook',
    notify: async ({ dedupeKey, payload }) => {
      let response: Response
      try {
        response = await request(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': dedupeKey },
          body: payload,
          redirect: 'error',
          signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
        })
      } catch (error) {
        throw new LifeboatError('unavailable', 'the webhook cannot be reached', { cause: error })
      }
      // The body is not ours to read, but an unread one would hold the connection.
      await response.body?.cancel()
      if (!response.ok) throw new LifeboatError('unavailable', `the webhook answered ${response.status}`)
    },
  }
}

/** For the outbox row: what went wrong, short. */
export function deliveryError(error: unknown): string {
  return formatErrorChain(error).slice(0, 300)
}
