import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { placeAll } from './place.ts'
import type { NPlusOne } from './plan.ts'
import { isInMemory, type Rooms, roomsOf } from './room.ts'

/** N+1 of the fleet as it stands. */
export function nPlusOne(snapshot: FleetSnapshot): NPlusOne {
  return nPlusOneOf(snapshot.vms, roomsOf(snapshot))
}

/**
 * N+1 means that for every blade with VMs the planner finds a place for all of them on the others, one blade at a time.
 * It is the planner itself that is asked: a second opinion by another rule would sooner or later contradict the plan.
 */
export function nPlusOneOf(vms: readonly VmView[], rooms: Rooms): NPlusOne {
  const byBlade = Map.groupBy(vms.map(settled), vm => vm.blade)
  const notSurvivable: { blade: string; vms: string[] }[] = []
  for (const [blade, there] of [...byBlade].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { unplaced } = placeAll(there, rooms)
    if (unplaced.length > 0) notSurvivable.push({ blade, vms: unplaced.map(each => each.vm).sort() })
  }
  return { kept: notSurvivable.length === 0, text: textOf(notSurvivable), notSurvivable }
}

/**
 * The VM as it will be when its moment has passed. A VM that is paused, or moves right now, does not take away the
 * fleet's N+1 for a minute: the question is one of room.
 */
function settled(vm: VmView): VmView {
  return { ...vm, state: isInMemory(vm) ? 'running' : 'stopped', operation: '' }
}

function textOf(notSurvivable: NPlusOne['notSurvivable']): string {
  if (notSurvivable.length === 0) return 'every blade could be emptied onto the others'
  const each = notSurvivable.map(({ blade, vms }) => `${blade} (no place for ${vms.join(', ')})`)
  return `could not be emptied onto the others: ${each.join('; ')}`
}
