import type { Case } from '../diagnosis/case.ts'
import type { Sql } from './sql.ts'

export interface CaseStore {
  open(): Case[]
  /** Inserts or replaces by id. */
  save(one: Case): void
  get(id: string): Case | undefined
}

/** Over the table `cases`; a case lies there as JSON. */
export function createCaseStore(sql: Sql): CaseStore {
  return {
    open: () =>
      sql
        .all(sql.build.selectFrom('cases').select('json').where('closed_at', '=', 0).orderBy('key'))
        .map(row => JSON.parse(row.json) as Case),
    save: one => {
      const values = {
        key: one.key,
        json: JSON.stringify(one),
        opened_at: one.openedAt,
        closed_at: one.closedAt,
      }
      sql.run(
        sql.build
          .insertInto('cases')
          .values({ id: one.id, ...values })
          .onConflict(conflict => conflict.column('id').doUpdateSet(values)),
      )
    },
    get: id => {
      const row = sql.first(sql.build.selectFrom('cases').select('json').where('id', '=', id))
      return row && (JSON.parse(row.json) as Case)
    },
  }
}
