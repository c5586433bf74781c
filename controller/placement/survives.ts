import { plural } from '../../shared/domain/units.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { Placed } from './place.ts'
import type { NPlusOne } from './plan.ts'
import { createAsker } from './returns.ts'
import { type Rooms, roomsOf } from './room.ts'

/** N+1 of the fleet as it stands. */
export function nPlusOne(snapshot: FleetSnapshot): NPlusOne {
  return nPlusOneOf(snapshot.vms, roomsOf(snapshot))
}

/**
 * N+1 means: whichever single blade dies now, all its VMs find a place on the others. It is the same question that
 * `lifeboat capacity` asks for each blade (returns.ts), put to the filters and the search that plans are made with: a
 * second opinion by another rule would sooner or later contradict them.
 */
export function nPlusOneOf(vms: readonly VmView[], rooms: Rooms): NPlusOne {
  const ask = createAsker(rooms, vms)
  const byBlade = Map.groupBy(vms, vm => vm.blade)
  const notSurvivable: { blade: string; vms: string[] }[] = []
  for (const [blade, there] of [...byBlade].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { unplaced } = ask(there, new Set([blade]))
    if (unplaced.length > 0) notSurvivable.push({ blade, vms: unplaced.map(vm => vm.name).sort() })
  }
  return { kept: notSurvivable.length === 0, text: textOf(notSurvivable), notSurvivable }
}

/** N+1 when these placements are done. VMs that are on no blade (yet) do not count. */
export function nPlusOneAfter({ vms }: FleetSnapshot, { placements, rooms }: Placed): NPlusOne {
  const targets = new Map(placements.map(({ vm, to }) => [vm.id, to]))
  const then = vms.map(vm => ({ ...vm, blade: targets.get(vm.id) ?? vm.blade }))
  return nPlusOneOf(
    then.filter(vm => rooms.has(vm.blade)),
    rooms,
  )
}

/** More than these nobody reads; `lifeboat capacity` has them all. */
const NAMED_BLADES = 5

function textOf(notSurvivable: NPlusOne['notSurvivable']): string {
  if (notSurvivable.length === 0) return 'any one blade may fail: the others have room for its VMs'
  const named = notSurvivable.slice(0, NAMED_BLADES).map(({ blade, vms }) => `${blade} (${vms.join(', ')})`)
  const more = notSurvivable.length - named.length
  const rest = more === 0 ? '' : ` and ${plural(more, 'more blade')}`
  return `a failure would leave VMs without a place: ${named.join(', ')}${rest}`
}
