import type { Sql } from './sql.ts'

export type Tags = Readonly<Record<string, string>>

/** What people say of a VM: `backup=freeze`. By the VM's id, so that a rename keeps them. */
export interface TagStore {
  of(vmId: string): Tags
  /** By VM id; those without tags are left out. */
  all(): ReadonlyMap<string, Tags>
  set(vmId: string, name: string, value: string): void
  remove(vmId: string, name: string): void
}

/** Over the table `vm_tags`. */
export function createTagStore(sql: Sql): TagStore {
  const all = () => {
    const tags = new Map<string, Record<string, string>>()
    for (const row of sql.all(sql.build.selectFrom('vm_tags').selectAll().orderBy('name'))) {
      tags.set(row.vm_id, { ...tags.get(row.vm_id), [row.name]: row.value })
    }
    return tags
  }
  return {
    all,
    of: vmId => all().get(vmId) ?? {},
    set: (vm_id, name, value) => {
      sql.run(
        sql.build
          .insertInto('vm_tags')
          .values({ vm_id, name, value })
          .onConflict(conflict => conflict.columns(['vm_id', 'name']).doUpdateSet({ value })),
      )
    },
    remove: (vmId, name) => {
      sql.run(sql.build.deleteFrom('vm_tags').where('vm_id', '=', vmId).where('name', '=', name))
    },
  }
}
