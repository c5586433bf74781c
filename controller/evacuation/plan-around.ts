import type { BladeView, FleetSnapshot } from '../fleet/snapshot.ts'
import { hasNoBlade } from '../placement/place.ts'
import type { Plan } from '../placement/plan.ts'
import { type Promised, withPromises } from '../placement/promises.ts'
import { type EvacuationRecord, isAutomatic } from '../store/evacuations.ts'

/**
 * Evacuations whose planned moves a new plan keeps room for, the most considerate choice first. A later choice holds
 * when an earlier one leaves a VM without a place.
 */
export type Heeded = readonly (readonly EvacuationRecord[])[]

/** What a new evacuation heeds: whoever was planned before it. One that a brake holds has the room only if it is spare. */
export function heededByNew(active: readonly EvacuationRecord[], isBraked: boolean): Heeded {
  const emptying = active.filter(isEmptying)
  return [emptying, emptying.filter(each => !(isBraked && isAutomatic(each)))]
}

/** What a VM of that evacuation heeds when it is planned anew: everybody, or at least those that have the better right. */
export function heededByReplan(
  active: readonly EvacuationRecord[],
  operation: string,
  isBraked: boolean,
): Heeded {
  return [active.filter(isEmptying), begunBefore(active, operation, isBraked)]
}

/**
 * Whoever was begun first has the better right: of two that want the same room the later one is planned anew, never
 * both around each other. One that a brake holds has to wait anyway.
 */
export function begunBefore(
  active: readonly EvacuationRecord[],
  operation: string,
  isBraked: boolean,
): EvacuationRecord[] {
  const own = active.findIndex(each => each.operation === operation)
  return active
    .slice(0, Math.max(0, own))
    .filter(each => isEmptying(each) && !(isBraked && isAutomatic(each)))
}

/** A person is led past what others have planned, where there is a choice; who names a blade leaves none. */
export function heededByMigration(active: readonly EvacuationRecord[]): Heeded {
  return [active, []]
}

/** An even load gives way to all others: its moves wait for them, and are dropped where they do not fit any more. */
function isEmptying({ blade }: EvacuationRecord): boolean {
  return blade !== ''
}

/**
 * A plan that does not count on room which others have planned to take: both ends of their moves hold it, as if the moves
 * were under way. Nobody waits for such room: whose plan does not fit any more is planned anew, so two evacuations
 * cannot wait for each other.
 */
export function planAround(
  snapshot: FleetSnapshot,
  heeded: Heeded,
  makePlan: (snapshot: FleetSnapshot) => Plan,
): Plan {
  let best: Plan | undefined
  let asked = -1
  for (const evacuations of heeded) {
    const promised = plannedBy(evacuations, snapshot)
    // Each choice is a part of the one before it: as many are the same ones.
    if (best !== undefined && (stuckIn(best) === 0 || promised.length === asked)) continue
    const plan = makePlan(withPromises(snapshot, promised))
    if (best === undefined || stuckIn(plan) < stuckIn(best)) best = plan
    asked = promised.length
  }
  return best ?? makePlan(snapshot)
}

/** The fleet with room kept for what these have planned and not begun. */
export function withPlanned(
  snapshot: FleetSnapshot,
  evacuations: readonly EvacuationRecord[],
): FleetSnapshot {
  return withPromises(snapshot, plannedBy(evacuations, snapshot))
}

/** Moves that wait for their turn. A VM that is not where its move begins, or whose blade is silent, will not make it. */
function plannedBy(evacuations: readonly EvacuationRecord[], { vms, blades }: FleetSnapshot): Promised[] {
  const silent = new Set(blades.filter(isSilent).map(blade => blade.name))
  const byId = new Map(vms.filter(vm => !silent.has(vm.blade)).map(vm => [vm.id, vm]))
  const going = evacuations.filter(each => each.state === 'running')
  return going.flatMap(({ operation, moves }) =>
    moves.flatMap(({ vmId, from, to, state }) => {
      const vm = byId.get(vmId)
      return state === 'planned' && vm?.blade === from ? [{ vm, to, operation }] : []
    }),
  )
}

/** What is to leave it does not leave before it is back, and then finds another fleet. */
export function isSilent({ liveness }: Pick<BladeView, 'liveness'>): boolean {
  return liveness === 'silent' || liveness === 'fenced'
}

/** VMs for which there was no place. */
function stuckIn({ unplaced }: Plan): number {
  return unplaced.filter(hasNoBlade).length
}
