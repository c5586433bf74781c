import type { Plan } from '../placement/plan.ts'
import type { Sql } from './sql.ts'

/** Plans are immutable: there is no update. */
export interface PlanStore {
  add(plan: Plan): void
  get(id: string): Plan | undefined
  newest(): Plan | undefined
}

/** Over the table `plans`; a plan lies there as JSON and never changes. */
export function createPlanStore(sql: Sql): PlanStore {
  const parse = (row: { json: string } | undefined) => row && upgraded(JSON.parse(row.json) as Plan)
  return {
    add: plan => {
      sql.run(
        sql.build
          .insertInto('plans')
          .values({ id: plan.id, blade: plan.blade, created_at: plan.createdAt, json: JSON.stringify(plan) }),
      )
    },
    get: id => parse(sql.first(sql.build.selectFrom('plans').select('json').where('id', '=', id))),
    newest: () =>
      parse(
        sql.first(
          sql.build
            .selectFrom('plans')
            .select('json')
            .orderBy('created_at', 'desc')
            .orderBy('rowid' as 'id', 'desc')
            .limit(1),
        ),
      ),
  }
}

/** Plans of earlier versions say nothing of order and relief: no VM stepped aside for another then. */
function upgraded(plan: Plan): Plan {
  return {
    ...plan,
    relief: plan.relief ?? [],
    moves: plan.moves.map(move => ({ ...move, role: move.role ?? 'leaves', needs: move.needs ?? [] })),
  }
}
