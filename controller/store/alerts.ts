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

const COLUMNS: Record<keyof AlertRecord, keyof AlertTable> = {
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
}
const FIELDS = Object.entries(COLUMNS) as [keyof AlertRecord, keyof AlertTable][]

export function createAlertStore(sql: Sql): AlertStore {
  const select = () => sql.build.selectFrom('alerts').selectAll()
  return {
    add: alert => {
      sql.run(sql.build.insertInto('alerts').values(toRow(alert) as unknown as AlertTable))
    },
    get: id => {
      const row = sql.first(select().where('id', '=', id))
      return row && fromRow(row)
    },
    update: (id, change) => {
      if (Object.keys(change).length === 0) return
      sql.run(sql.build.updateTable('alerts').set(toRow(change)).where('id', '=', id))
    },
    open: () =>
      sql
        .all(
          select()
            .where('cleared_at', '=', 0)
            .orderBy('raised_at')
            .orderBy('rowid' as 'id'),
        )
        .map(fromRow),
    list: limit =>
      sql
        .all(
          select()
            .orderBy('rowid' as 'id', 'desc')
            .limit(limit),
        )
        .map(fromRow),
  }
}

function toRow(change: Partial<AlertRecord>): Partial<AlertTable> {
  const row: Record<string, unknown> = {}
  for (const [field, column] of FIELDS) {
    if (!(field in change)) continue
    row[column] = field === 'blades' ? JSON.stringify(change.blades) : change[field]
  }
  return row as Partial<AlertTable>
}

function fromRow(row: AlertTable): AlertRecord {
  const record: Record<string, unknown> = {}
  for (const [field, column] of FIELDS) record[field] = row[column]
  record.blades = JSON.parse(row.blades)
  return record as unknown as AlertRecord
}
