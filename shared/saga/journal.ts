import type Database from 'better-sqlite3'
import { LifeboatError } from '../errors.ts'
import type { Json } from './definition.ts'
import type { SagaEvent, StepShape } from './replay.ts'

/** Put into one of your migrations. Recorded journals must load for ever: columns are only added. */
export const SAGA_TABLES_SQL = `
CREATE TABLE sagas (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  params TEXT NOT NULL,
  steps TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sagas_by_end ON sagas (ended_at, started_at);
CREATE TABLE saga_events (
  saga_id TEXT NOT NULL REFERENCES sagas (id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (saga_id, sequence)
) STRICT, WITHOUT ROWID;
`

/** What is fixed when a saga begins. The steps' shapes are kept too: a later version may know others. */
export interface SagaHeader {
  readonly id: string
  readonly kind: string
  readonly params: Json
  readonly steps: readonly StepShape[]
  readonly startedAt: number
  readonly deadlineAt: number
}

export interface SagaRecord extends SagaHeader {
  readonly events: readonly SagaEvent[]
  /** 0: not ended. */
  readonly endedAt: number
}

/** Each write is one durable transaction: when the method returns, it is on disk. */
export interface SagaJournal {
  /** False (and nothing written) when the id is there already. */
  create(header: SagaHeader): boolean
  append(id: string, event: SagaEvent): void
  load(id: string): SagaRecord | undefined
  /** Oldest first. */
  unfinished(): readonly SagaRecord[]
  /** Once is enough: a second request writes nothing. */
  requestAbort(id: string, at: number): void
  /** Newest first. */
  list(filter: { kind?: string; ended?: boolean; limit?: number }): readonly SagaRecord[]
  /** Drops an ended saga; throws `refused` for one that is not. */
  forget(id: string): void
}

interface SagaRow {
  id: string
  kind: string
  params: string
  steps: string
  started_at: number
  deadline_at: number
  ended_at: number
}

/** A journal in the given database, which must have SAGA_TABLES_SQL in its schema. */
export function createSagaJournal(db: Database.Database): SagaJournal {
  const insertSaga = db.prepare(
    `INSERT INTO sagas (id, kind, params, steps, started_at, deadline_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
  )
  const insertEvent = db.prepare(
    `INSERT INTO saga_events (saga_id, sequence, event)
     SELECT ?, coalesce(max(sequence), 0) + 1, ? FROM saga_events WHERE saga_id = ?`,
  )
  const setEnded = db.prepare('UPDATE sagas SET ended_at = ? WHERE id = ?')
  const selectSaga = db.prepare<[string], SagaRow>('SELECT * FROM sagas WHERE id = ?')
  const selectEvents = db.prepare<[string], { event: string }>(
    'SELECT event FROM saga_events WHERE saga_id = ? ORDER BY sequence',
  )
  const selectUnfinished = db.prepare<[], SagaRow>(
    'SELECT * FROM sagas WHERE ended_at = 0 ORDER BY started_at, rowid',
  )
  const selectList = db.prepare<
    [string | null, string | null, number | null, number | null, number],
    SagaRow
  >(
    `SELECT * FROM sagas WHERE (? IS NULL OR kind = ?) AND (? IS NULL OR (ended_at <> 0) = ?)
     ORDER BY started_at DESC, rowid DESC LIMIT ?`,
  )
  const deleteSaga = db.prepare('DELETE FROM sagas WHERE id = ?')

  const readRecord = (row: SagaRow): SagaRecord => ({
    id: row.id,
    kind: row.kind,
    params: JSON.parse(row.params) as Json,
    steps: JSON.parse(row.steps) as readonly StepShape[],
    startedAt: row.started_at,
    deadlineAt: row.deadline_at,
    endedAt: row.ended_at,
    events: selectEvents.all(row.id).map(({ event }) => JSON.parse(event) as SagaEvent),
  })
  const requireSaga = (id: string): SagaRow => {
    const row = selectSaga.get(id)
    if (row === undefined) throw new LifeboatError('not-found', `no saga '${id}' in the journal`)
    return row
  }
  // Immediate: the journal shares its database with other writers, and a late upgrade of a read lock could be busy.
  const append = db.transaction((id: string, event: SagaEvent) => {
    insertEvent.run(id, JSON.stringify(event), id)
    if (event.kind === 'ended') setEnded.run(event.at, id)
  }).immediate
  const requestAbort = db.transaction((id: string, at: number) => {
    const record = readRecord(requireSaga(id))
    if (record.endedAt !== 0 || record.events.some(event => event.kind === 'abort-requested')) return
    append(id, { kind: 'abort-requested', at, because: 'person' })
  }).immediate

  return {
    create: header =>
      insertSaga.run(
        header.id,
        header.kind,
        JSON.stringify(header.params),
        JSON.stringify(header.steps),
        header.startedAt,
        header.deadlineAt,
      ).changes > 0,
    append: (id, event) => append(id, event),
    load: id => {
      const row = selectSaga.get(id)
      return row === undefined ? undefined : readRecord(row)
    },
    unfinished: () => selectUnfinished.all().map(readRecord),
    requestAbort: (id, at) => requestAbort(id, at),
    list: filter => {
      const kind = filter.kind ?? null
      const ended = filter.ended === undefined ? null : Number(filter.ended)
      return selectList.all(kind, kind, ended, ended, filter.limit ?? 1000).map(readRecord)
    },
    forget: id => {
      if (requireSaga(id).ended_at === 0) throw new LifeboatError('refused', `saga '${id}' has not ended`)
      deleteSaga.run(id)
    },
  }
}
