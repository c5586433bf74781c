import { PointSummary } from '../../proto/gen/lifeboat/v1/vault.ts'
import type { Sql } from './sql.ts'

/** A restore point as its vault last told of it. */
export interface PointRecord extends PointSummary {
  readonly vault: string
}

export interface PointStore {
  /** The newest of each VM first, by VM name. */
  list(): readonly PointRecord[]
  /** What the vault has now, whole. */
  replace(vault: string, points: readonly PointSummary[]): void
  /** One that the vault told anew. */
  save(vault: string, point: PointSummary): void
  /** A vault was removed, and its points with it. */
  forget(): void
}

/** Over the table `points`: a copy of what the vaults said, kept so that it can be told while they are away. */
export function createPointStore(sql: Sql): PointStore {
  const select = () => sql.build.selectFrom('points').select(['vault', 'json'])
  const read = (row: { vault: string; json: string }): PointRecord => ({
    ...PointSummary.fromPartial(JSON.parse(row.json) as PointSummary),
    vault: row.vault,
  })
  // Looked at each second, changed each minute. This process alone writes the table.
  let known: PointRecord[] | undefined
  const insert = (vault: string, point: PointSummary) => {
    const { vmId: vm_id, vm, at } = point
    const json = JSON.stringify(point)
    sql.run(
      sql.build
        .insertInto('points')
        .values({ vault, vm_id, point: point.point, vm, at, json })
        .onConflict(conflict => conflict.columns(['vault', 'vm_id', 'point']).doUpdateSet({ vm, at, json })),
    )
  }
  return {
    list: () => {
      known ??= sql.all(select().orderBy('vm').orderBy('vm_id').orderBy('at', 'desc')).map(read)
      return known
    },
    replace: (vault, points) =>
      sql.transaction(() => {
        known = undefined
        sql.run(sql.build.deleteFrom('points').where('vault', '=', vault))
        for (const point of points) insert(vault, point)
      }),
    save: (vault, point) => {
      known = undefined
      insert(vault, point)
    },
    forget: () => {
      known = undefined
    },
  }
}
