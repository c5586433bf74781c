import type { Case } from '../diagnosis/case.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { Store } from '../store/store.ts'
import { isBygone } from './left-behind.ts'

/**
 * Evacuations that left VMs on their blade, and of which nobody has to be told any more: see isBygone, or the blade was
 * or is emptied anew, and that one speaks for it.
 */
export function bygoneEvacuations(store: Store, snapshot: FleetSnapshot): OperationRecord[] {
  return store.operations.unsettled().filter(operation => {
    const evacuation = store.evacuations.get(operation.id)
    if (operation.kind !== 'evacuate' || evacuation === undefined) return false
    const { blade, plan } = evacuation
    return (
      store.evacuations.active().some(each => each.blade === blade) ||
      store.evacuations.lastEndedOf(blade)?.operation !== operation.id ||
      isBygone(evacuation, store.plans.get(plan), snapshot)
    )
  })
}

/**
 * Once the case is closed the matter is settled for good: else it would come back with the next thing that goes wrong
 * with the blade. Until then it may be found again, as when the blade was healthy for a moment only.
 */
export function settleBygone(
  store: Store,
  bygone: readonly OperationRecord[],
  open: readonly Case[],
  now: number,
): void {
  const told = new Set(open.filter(each => each.code === 'evacuation-incomplete').map(each => each.subject))
  for (const { id } of bygone) if (!told.has(id)) store.operations.update(id, { settledAt: now })
}
