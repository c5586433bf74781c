import type { Vm } from '../../shared/domain/fleet.ts'
import type { Sql } from './sql.ts'
import type { VmTable } from './tables.ts'

/**
 * What the controller itself decided of a VM. Where it *is* comes from the reports; `placedOn` (set when a move ends)
 * only bridges the moment until the target's next report.
 */
export interface VmRecord {
  readonly id: string
  readonly name: string
  /** Highest epoch given out, or seen. */
  readonly epoch: number
  /** Of the newest intention; an order with an older one is refused by the agent (rule 1). */
  readonly generation: number
  readonly placedOn: string
  readonly placedAt: number
  readonly placedVm: Vm | undefined
  /** 0: by a version that did not note it. */
  readonly firstSeenAt: number
}

export interface VmStore {
  list(): VmRecord[]
  get(id: string): VmRecord | undefined
  /** A VM was seen: makes the record, follows a rename, never lowers the epoch. True when something changed. */
  seen(vm: Pick<Vm, 'id' | 'name' | 'epoch'>, at: number): boolean
  /** A new intention; with `newEpoch` also the right to start somewhere new. Returns what the orders must carry. */
  raise(id: string, newEpoch: boolean): { epoch: number; generation: number }
  place(id: string, blade: string, at: number, vm: Vm): void
  /** A blade has it, by its own report. Remembered for good: also when the blade is removed from the fleet. */
  seenOn(id: string, blade: string, at: number): void
  /** Every blade that ever reported it, or where it was put. */
  bladesOf(id: string): ReadonlySet<string>
}

/** Over the tables `vms` and `vm_blades`. */
export function createVmStore(sql: Sql): VmStore {
  const get = (id: string) => {
    const row = sql.first(sql.build.selectFrom('vms').selectAll().where('id', '=', id))
    return row && fromRow(row)
  }
  const seenOn = (vmId: string, blade: string, at: number): void => {
    sql.run(
      sql.build
        .insertInto('vm_blades')
        .values({ vm_id: vmId, blade, first_seen_at: at })
        .onConflict(conflict => conflict.doNothing()),
    )
  }
  return {
    list: () => sql.all(sql.build.selectFrom('vms').selectAll()).map(fromRow),
    get,
    seen: (vm, at) => {
      const known = get(vm.id)
      if (known === undefined) {
        const values = { id: vm.id, name: vm.name, epoch: vm.epoch, generation: 0 }
        sql.run(
          sql.build
            .insertInto('vms')
            .values({ ...values, placed_on: '', placed_at: 0, placed_vm: '', first_seen_at: at }),
        )
        return true
      }
      const epoch = Math.max(known.epoch, vm.epoch)
      if (known.name === vm.name && known.epoch === epoch) return false
      sql.run(sql.build.updateTable('vms').set({ name: vm.name, epoch }).where('id', '=', vm.id))
      return true
    },
    raise: (id, newEpoch) => {
      const known = get(id)
      const epoch = (known?.epoch ?? 0) + (newEpoch ? 1 : 0)
      const generation = (known?.generation ?? 0) + 1
      sql.run(sql.build.updateTable('vms').set({ epoch, generation }).where('id', '=', id))
      return { epoch, generation }
    },
    place: (id, blade, at, vm) => {
      sql.run(
        sql.build
          .updateTable('vms')
          .set({ placed_on: blade, placed_at: at, placed_vm: JSON.stringify(vm) })
          .where('id', '=', id),
      )
      seenOn(id, blade, at)
    },
    seenOn,
    bladesOf: id =>
      new Set(
        sql
          .all(sql.build.selectFrom('vm_blades').select('blade').where('vm_id', '=', id))
          .map(row => row.blade),
      ),
  }
}

function fromRow(row: VmTable): VmRecord {
  return {
    id: row.id,
    name: row.name,
    epoch: row.epoch,
    generation: row.generation,
    placedOn: row.placed_on,
    placedAt: row.placed_at,
    placedVm: row.placed_vm === '' ? undefined : JSON.parse(row.placed_vm),
    firstSeenAt: row.first_seen_at,
  }
}
