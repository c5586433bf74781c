import type Database from 'better-sqlite3'
import type { Clock, IdSource } from '../../shared/clock.ts'

/** Something worth telling that happened once. Kept until the controller says it has it. */
export interface SpooledEvent {
  readonly number: number
  readonly id: string
  readonly at: number
  readonly kind: string
  readonly vm: string
  readonly text: string
}

/** A week of a busy blade; a controller that is away longer learns the present from reports anyway. */
const SPOOL_LIMIT = 10_000

export interface EventSpool {
  add(kind: string, vm: string, text: string): void
  /** In order, from behind `number`. */
  after(number: number, limit: number): readonly SpooledEvent[]
  received(id: string): void
}

/** Events in the agent's database; the oldest are dropped over the limit, and their count is itself told. */
export function createEventSpool(
  db: Database.Database,
  options: { clock: Clock; ids: IdSource; onAdd: () => void; limit?: number },
): EventSpool {
  const limit = options.limit ?? SPOOL_LIMIT
  const insert = db.prepare('INSERT INTO events (id, at, kind, vm, text) VALUES (?, ?, ?, ?, ?)')
  const trim = db.prepare(
    'DELETE FROM events WHERE number <= (SELECT number FROM events ORDER BY number DESC LIMIT 1 OFFSET ?)',
  )
  const after = db.prepare('SELECT * FROM events WHERE number > ? ORDER BY number LIMIT ?')
  const remove = db.prepare('DELETE FROM events WHERE id = ?')
  const count = db.prepare(
    `INSERT INTO counters (name, value) VALUES ('events-dropped', ?)
     ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`,
  )
  const takeCount = db.prepare(`DELETE FROM counters WHERE name = 'events-dropped' RETURNING value`)

  const add = db.transaction((kind: string, vm: string, text: string) => {
    insert.run(options.ids.next(), options.clock.now(), kind, vm, text)
    const dropped = trim.run(limit).changes
    if (dropped > 0) count.run(dropped)
  })
  const received = db.transaction((id: string) => {
    if (remove.run(id).changes === 0) return
    // The way is free again: say once how much was lost.
    const row = takeCount.get() as { value: number } | undefined
    if (row !== undefined) {
      insert.run(
        options.ids.next(),
        options.clock.now(),
        'events-dropped',
        '',
        `${row.value} older events were dropped`,
      )
      options.onAdd()
    }
  })
  return {
    add: (kind, vm, text) => {
      add(kind, vm, text)
      options.onAdd()
    },
    after: (number, max) => after.all(number, max) as SpooledEvent[],
    received: id => received(id),
  }
}
