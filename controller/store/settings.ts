import type { Sql } from './sql.ts'

/** Rule 10: a pause stops all automatic action, and says who paused and why. */
export interface AutomationSetting {
  readonly paused: boolean
  readonly reason: string
  readonly pausedBy: string
  readonly since: number
}

export interface SettingStore {
  automation(): AutomationSetting
  setAutomation(value: AutomationSetting): void
  /** 1, 2, 3 … per name; names of plans (p1), operations (o1), alerts (a1), cases (c1). */
  nextNumber(name: string): number
}

/** Over the tables `settings` and `counters`. */
export function createSettingStore(sql: Sql): SettingStore {
  return {
    automation: () => {
      const row = sql.first(sql.build.selectFrom('settings').select('json').where('name', '=', 'automation'))
      return row === undefined
        ? { paused: false, reason: '', pausedBy: '', since: 0 }
        : (JSON.parse(row.json) as AutomationSetting)
    },
    setAutomation: value => {
      const json = JSON.stringify(value)
      sql.run(
        sql.build
          .insertInto('settings')
          .values({ name: 'automation', json })
          .onConflict(conflict => conflict.column('name').doUpdateSet({ json })),
      )
    },
    nextNumber: name =>
      sql.transaction(() => {
        const row = sql.first(sql.build.selectFrom('counters').select('value').where('name', '=', name))
        const value = (row?.value ?? 0) + 1
        sql.run(
          sql.build
            .insertInto('counters')
            .values({ name, value })
            .onConflict(conflict => conflict.column('name').doUpdateSet({ value })),
        )
        return value
      }),
  }
}
