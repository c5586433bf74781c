import type { Sql } from './sql.ts'

/** One message for one notifier, durable until it is delivered. At least once: the dedupe key travels with it. */
export interface OutboxEntry {
  readonly seq: number
  readonly dedupeKey: string
  readonly notifier: string
  readonly alert: string
  /** The Alert message of admin.proto, as JSON. */
  readonly payload: string
  readonly attempts: number
  readonly nextAttemptAt: number
}

export interface OutboxStore {
  /** A key that is there already is left alone. */
  add(entry: Pick<OutboxEntry, 'dedupeKey' | 'notifier' | 'alert' | 'payload'>): void
  /** Not delivered yet, oldest first, also those whose time has not come. */
  waiting(limit: number): OutboxEntry[]
  delivered(seq: number, now: number): void
  failed(seq: number, nextAttemptAt: number, error: string): void
  /** Messages of this alert that are still to be delivered. */
  waitingOf(alert: string): number
  prune(deliveredBefore: number): number
}

/** Over the table `outbox`. */
export function createOutboxStore(sql: Sql): OutboxStore {
  return {
    add: entry => {
      sql.run(
        sql.build
          .insertInto('outbox')
          .values({
            dedupe_key: entry.dedupeKey,
            notifier: entry.notifier,
            alert: entry.alert,
            payload: entry.payload,
            attempts: 0,
            next_attempt_at: 0,
            delivered_at: 0,
            last_error: '',
          })
          .onConflict(conflict => conflict.column('dedupe_key').doNothing()),
      )
    },
    waiting: limit =>
      sql.all(
        sql.build
          .selectFrom('outbox')
          .select([
            'seq',
            'dedupe_key as dedupeKey',
            'notifier',
            'alert',
            'payload',
            'attempts',
            'next_attempt_at as nextAttemptAt',
          ])
          .where('delivered_at', '=', 0)
          .orderBy('seq')
          .limit(limit),
      ),
    delivered: (seq, now) => {
      sql.run(sql.build.updateTable('outbox').set({ delivered_at: now }).where('seq', '=', seq))
    },
    failed: (seq, nextAttemptAt, error) => {
      sql.run(
        sql.build
          .updateTable('outbox')
          .set(row => ({
            attempts: row('attempts', '+', 1),
            next_attempt_at: nextAttemptAt,
            last_error: error,
          }))
          .where('seq', '=', seq),
      )
    },
    waitingOf: alert =>
      sql.all(
        sql.build.selectFrom('outbox').select('seq').where('alert', '=', alert).where('delivered_at', '=', 0),
      ).length,
    prune: deliveredBefore =>
      sql.run(
        sql.build
          .deleteFrom('outbox')
          .where('delivered_at', '>', 0)
          .where('delivered_at', '<', deliveredBefore),
      ),
  }
}
