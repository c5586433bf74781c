import type { Sql } from './sql.ts'

/** The decision log: for each VM and blade, what was decided and why, in sentences. `lifeboat why` reads it. */
export type StorySubject = 'vm' | 'blade' | 'fleet'

export interface StoryLine {
  readonly at: number
  readonly text: string
}

export interface BladeEvent {
  readonly id: string
  readonly blade: string
  readonly at: number
  readonly kind: string
  readonly vm: string
  readonly text: string
}

export interface StoryStore {
  tell(kind: StorySubject, subject: string, at: number, text: string): void
  /** Newest last; at most `limit` of the newest. */
  read(kind: StorySubject, subject: string, limit: number): StoryLine[]
  /** False when an event of that id is there already: agents send until they hear that it arrived. */
  addEvent(event: BladeEvent): boolean
  /** Keeps the database small; returns how many lines went. */
  prune(olderThan: number): number
}

/** Over the tables `stories` and `events`. */
export function createStoryStore(sql: Sql): StoryStore {
  return {
    tell: (kind, subject, at, text) => {
      sql.run(sql.build.insertInto('stories').values({ kind, subject, at, text }))
    },
    read: (kind, subject, limit) =>
      sql
        .all(
          sql.build
            .selectFrom('stories')
            .select(['at', 'text'])
            .where('kind', '=', kind)
            .where('subject', '=', subject)
            .orderBy('seq', 'desc')
            .limit(limit),
        )
        .reverse(),
    addEvent: event =>
      sql.run(
        sql.build
          .insertInto('events')
          .values({ ...event })
          .onConflict(conflict => conflict.column('id').doNothing()),
      ) === 1,
    prune: olderThan =>
      sql.run(sql.build.deleteFrom('stories').where('at', '<', olderThan)) +
      sql.run(sql.build.deleteFrom('events').where('at', '<', olderThan)),
  }
}
