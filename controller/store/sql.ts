import type Database from 'better-sqlite3'
import {
  type Compilable,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './tables.ts'

/**
 * Kysely builds and types the statements; better-sqlite3 runs them, synchronously. Kysely's own driver is not used:
 * its transactions span awaits, and the saga journal writes synchronously on the same connection, so a journal
 * entry could land in (and be rolled back with) somebody else's transaction. Synchronous also means that a fleet
 * snapshot is one consistent read without a lock.
 */
export interface Sql {
  readonly build: Kysely<Tables>
  all<Row>(query: Compilable<Row>): Row[]
  first<Row>(query: Compilable<Row>): Row | undefined
  /** Number of rows changed. */
  run(query: Compilable<unknown>): number
  /** All or nothing; nested calls are savepoints. The function must not await. */
  transaction<Result>(act: () => Result): Result
}

/** Statements are prepared once and kept by their text. */
export function createSql(db: Database.Database): Sql {
  const build = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: inner => new SqliteIntrospector(inner),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  const prepared = new Map<string, Database.Statement>()
  const compiled = (query: Compilable<unknown>) => {
    const { sql, parameters } = query.compile()
    const statement = prepared.get(sql) ?? db.prepare(sql)
    prepared.set(sql, statement)
    return { statement, parameters }
  }
  return {
    build,
    all: <Row>(query: Compilable<Row>) => {
      const { statement, parameters } = compiled(query)
      return statement.all(...parameters) as Row[]
    },
    first: <Row>(query: Compilable<Row>) => {
      const { statement, parameters } = compiled(query)
      return statement.get(...parameters) as Row | undefined
    },
    run: query => {
      const { statement, parameters } = compiled(query)
      return statement.run(...parameters).changes
    },
    transaction: act => db.transaction(act)(),
  }
}
