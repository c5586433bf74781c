import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { Store } from '../store/store.ts'

/** What was begun, and what the agents told of it. */
export interface RestoreRecords {
  readonly operations: Pick<Store['operations'], 'unsettled'>
  readonly orders: Pick<Store['orders'], 'get'>
}

/**
 * A restore of that VM that ended half way, as long as nobody can know what became of it (rule 1): its blade does not
 * report, or has not since; or its agent has not told the end of the order and may yet start the VM. A blade that was
 * removed is gone with its VMs, and a person who settled the operation has looked. Pure but for the reading.
 */
export function unseenRestore(
  vmId: string,
  { blades }: FleetSnapshot,
  { operations, orders }: RestoreRecords,
): OperationRecord | undefined {
  return operations.unsettled().find(operation => {
    if (operation.kind !== 'restore' || operation.vmId !== vmId) return false
    const blade = blades.find(each => each.name === operation.to)
    if (blade === undefined) return false
    const order = orders.get(`${operation.id}/restore`)
    if (blade.liveness !== 'up' || order?.endedAt === 0) return true
    return blade.lastReportAt <= Math.max(operation.endedAt, order?.endedAt ?? 0)
  })
}
