import type { Sql } from './sql.ts'

/** Rule 10: a pause stops all automatic action, and says who paused and why. */
export interface AutomationSetting {
  readonly paused: boolean
  readonly reason: string
  readonly pausedBy: string
  readonly since: number
}

/** The newest night of boot tests: when it began (0: none yet), and how many are still to be made. */
export interface BootTestNight {
  readonly at: number
  readonly left: number
}

export interface SettingStore {
  automation(): AutomationSetting
  setAutomation(value: AutomationSetting): void
  bootTests(): BootTestNight
  setBootTests(value: BootTestNight): void
  /** 1, 2, 3 … per name; names of plans (p1), operations (o1), alerts (a1), cases (c1). */
  nextNumber(name: string): number
}

/** Over the tables `settings` and `counters`. */
export function createSettingStore(sql: Sql): SettingStore {
  const read = <Value>(name: string, unset: Value): Value => {
    const row = sql.first(sql.build.selectFrom('settings').select('json').where('name', '=', name))
    return row === undefined ? unset : (JSON.parse(row.json) as Value)
  }
  const write = (name: string, value: unknown) => {
    const json = JSON.stringify(value)
    sql.run(
      sql.build
        .insertInto('settings')
        .values({ name, json })
        .onConflict(conflict => conflict.column('name').doUpdateSet({ json })),
    )
  }
  return {
    automation: () => read('automation', { paused: false, reason: '', pausedBy: '', since: 0 }),
    setAutomation: value => write('automation', value),
    bootTests: () => read('boot-tests', { at: 0, left: 0 }),
    setBootTests: value => write('boot-tests', value),
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
