import { PointSummary } from '../../proto/gen/lifeboat/v1/vault.ts'
import type { Sql } from './sql.ts'

/** A restore point as its vault last told of it. */
export interface PointRecord extends PointSummary {
  readonly vault: string
}

export interface PointStore {
  /** The newest of each VM first, by VM name. */
  list(): PointRecord[]
  /** The newest first. */
  ofVm(vmId: string): PointRecord[]
  /** What the vault has now, whole. */
  replace(vault: string, points: readonly PointSummary[]): void
  /** One that the vault told anew. */
  save(vault: string, point: PointSummary): void
}

/** Over the table `points`: a copy of what the vaults said, kept so that it can be told while they are away. */
export function createPointStore(sql: Sql): PointStore {
  const select = () => sql.build.selectFrom('points').select(['vault', 'json'])
  const read = (row: { vault: string; json: string }): PointRecord => ({
    ...PointSummary.fromPartial(JSON.parse(row.json) as PointSummary),
    vault: row.vault,
  })
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
    list: () => sql.all(select().orderBy('vm').orderBy('vm_id').orderBy('at', 'desc')).map(read),
    ofVm: vmId => sql.all(select().where('vm_id', '=', vmId).orderBy('at', 'desc')).map(read),
    replace: (vault, points) =>
      sql.transaction(() => {
        sql.run(sql.build.deleteFrom('points').where('vault', '=', vault))
        for (const point of points) insert(vault, point)
      }),
    save: insert,
  }
}
