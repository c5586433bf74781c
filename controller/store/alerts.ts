import { createRowMap } from './row-map.ts'
import type { Sql } from './sql.ts'
import type { AlertTable } from './tables.ts'

/** What a person was told, or is to be told. One open alert per case key. */
export interface AlertRecord {
  readonly id: string
  readonly caseKey: string
  readonly code: string
  readonly severity: string
  /** Empty for a chassis or the fleet. */
  readonly blade: string
  readonly subject: string
  readonly title: string
  readonly text: string
  readonly nextCommand: string
  readonly blades: readonly string[]
  readonly raisedAt: number
  readonly clearedAt: number
  readonly acknowledgedBy: string
  readonly acknowledgedAt: number
  readonly acknowledgedNote: string
  /** When every notifier had it; 0: not yet. */
  readonly deliveredAt: number
  /** Rises when the text changes: part of the dedupe key of a delivery. */
  readonly revision: number
}

export interface AlertStore {
  add(alert: AlertRecord): void
  get(id: string): AlertRecord | undefined
  update(id: string, change: Partial<Omit<AlertRecord, 'id'>>): void
  open(): AlertRecord[]
  /** Newest first. */
  list(limit: number): AlertRecord[]
}

const ROWS = createRowMap<AlertRecord, AlertTable>(
  {
    id: 'id',
    caseKey: 'case_key',
    code: 'code',
    severity: 'severity',
    blade: 'blade',
    subject: 'subject',
    title: 'title',
    text: 'text',
    nextCommand: 'next_command',
    blades: 'blades',
    raisedAt: 'raised_at',
    clearedAt: 'cleared_at',
    acknowledgedBy: 'acknowledged_by',
    acknowledgedAt: 'acknowledged_at',
    acknowledgedNote: 'acknowledged_note',
    deliveredAt: 'delivered_at',
    revision: 'revision',
  },
  ['blades'],
)

/** Over the table `alerts`. */
export function createAlertStore(sql: Sql): AlertStore {
  const select = () => sql.build.selectFrom('alerts').selectAll()
  return {
    add: alert => {
      sql.run(sql.build.insertInto('alerts').values(ROWS.toRow(alert) as unknown as AlertTable))
    },
    get: id => {
      const row = sql.first(select().where('id', '=', id))
      return row && ROWS.fromRow(row)
    },
    update: (id, change) => {
      if (Object.keys(change).length === 0) return
      sql.run(sql.build.updateTable('alerts').set(ROWS.toRow(change)).where('id', '=', id))
    },
    open: () =>
      sql
        .all(
          select()
            .where('cleared_at', '=', 0)
            .orderBy('raised_at')
            .orderBy('rowid' as 'id'),
        )
        .map(ROWS.fromRow),
    list: limit =>
      sql
        .all(
          select()
            .orderBy('rowid' as 'id', 'desc')
            .limit(limit),
        )
        .map(ROWS.fromRow),
  }
}
