import type { Case } from '../diagnosis/case.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { EvacuationRecord } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { Store } from '../store/store.ts'
import { isBygone } from './left-behind.ts'

/**
 * Evacuations that left VMs on their blade, and of which nobody has to be told any more: see isBygone, or the blade was
 * or is emptied anew, and that one speaks for it. One that was aborted speaks for nothing: then the one before it does.
 */
export function bygoneEvacuations(store: Store, snapshot: FleetSnapshot): OperationRecord[] {
  const isOver = (evacuation: EvacuationRecord): boolean =>
    isBygone(evacuation, store.plans.get(evacuation.plan), snapshot)
  const isSpokenFor = ({ blade, operation }: EvacuationRecord): boolean => {
    const last = store.evacuations.lastEndedOf(blade)
    if (last === undefined || last.operation === operation) return false
    return store.operations.get(last.operation)?.state === 'needs-admin' || isOver(last)
  }
  return store.operations.unsettled().filter(operation => {
    const evacuation = store.evacuations.get(operation.id)
    if (operation.kind !== 'evacuate' || evacuation === undefined) return false
    return isEmptiedAnew(store, evacuation) || isSpokenFor(evacuation) || isOver(evacuation)
  })
}

function isEmptiedAnew({ evacuations }: Store, { blade }: EvacuationRecord): boolean {
  return evacuations.active().some(each => each.blade === blade)
}

/**
 * Once the case is closed the matter is settled for good: else it would come back with the next thing that goes wrong
 * with the blade. Until then it may be found again, as when the blade was healthy for a moment only. Nor is it settled
 * while the blade is emptied anew, for that may be aborted.
 */
export function settleBygone(
  store: Store,
  bygone: readonly OperationRecord[],
  open: readonly Case[],
  now: number,
): void {
  const told = new Set(open.filter(each => each.code === 'evacuation-incomplete').map(each => each.subject))
  for (const { id } of bygone) {
    const evacuation = store.evacuations.get(id)
    if (told.has(id) || (evacuation !== undefined && isEmptiedAnew(store, evacuation))) continue
    store.operations.update(id, { settledAt: now })
  }
}
