import { plural } from '../diagnosis/words.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { loadsByName } from '../placement/load.ts'
import { hasNoBlade, type Placed, type Placement, placeAll } from '../placement/place.ts'
import type { BladeLoad, NPlusOne, Relief, UnplacedVm } from '../placement/plan.ts'
import { findRelief } from '../placement/relief.ts'
import { asRestored } from '../placement/returns.ts'
import { roomsOf } from '../placement/room.ts'
import { evacuationSearch, searchPlaces } from '../placement/search-places.ts'
import { nPlusOne, nPlusOneOf } from '../placement/survives.ts'
import { type FleetRoom, fleetRoom } from './fleet-room.ts'
import type { WhatIf } from './what-if-check.ts'
import { editFleet } from './what-if-edit.ts'

export interface WhatIfAnswer {
  readonly fits: boolean
  /** One sentence without a full stop. */
  readonly text: string
  readonly changes: readonly string[]
  /** `recover` for VMs of a blade that is not up; a VM that is new is on no blade yet. */
  readonly placements: readonly Placement[]
  readonly unplaced: readonly UnplacedVm[]
  readonly relief: readonly Relief[]
  readonly before: Standing
  readonly after: Standing & { readonly loads: readonly BladeLoad[] }
}

interface Standing {
  readonly nPlusOne: NPlusOne
  readonly room: FleetRoom
}

/** The fleet with those changes, answered by the planner itself. Changes nothing. Throws `bad-input`: all that is wrong. */
export function whatIf(snapshot: FleetSnapshot, wish: WhatIf): WhatIfAnswer {
  const edited = editFleet(snapshot, wish)
  const up = new Set(snapshot.blades.filter(blade => blade.liveness === 'up').map(blade => blade.name))
  // What a silent blade has comes back from the vault, as it would if the blade stayed away.
  const homeless = edited.homeless.map(vm => (vm.blade === '' || up.has(vm.blade) ? vm : asRestored(vm)))
  const fleet = { ...edited.snapshot, vms: [...edited.snapshot.vms, ...homeless] }
  const { placed, after, relief } = placeIn(fleet, homeless)
  const fits = placed.unplaced.length === 0
  return {
    fits,
    text: textOf(homeless.length, placed.unplaced.length, after),
    changes: edited.changes,
    placements: placed.placements.map(each =>
      each.vm.blade === '' || up.has(each.vm.blade) ? each : { ...each, method: 'recover' },
    ),
    unplaced: placed.unplaced,
    relief,
    before: { nPlusOne: nPlusOne(snapshot), room: fleetRoom(roomsOf(snapshot)) },
    after: {
      nPlusOne: after,
      room: fleetRoom(placed.rooms),
      loads: loadsByName(placed.rooms),
    },
  }
}

/** For more VMs at once the best blade for each in turn is the answer: a search would keep the controller too long. */
const MOST_SEARCHED = 100

interface Answer {
  readonly placed: Placed
  readonly after: NPlusOne
  readonly relief: readonly Relief[]
}

/** As an evacuation does: the best blade for each in turn, and where that leaves something to wish, the search. */
function placeIn(fleet: FleetSnapshot, homeless: readonly VmView[]): Answer {
  const rooms = roomsOf(fleet)
  const withNPlusOne = (placed: Placed): Answer => ({
    placed,
    after: nPlusOneAfter(fleet, placed),
    relief: [],
  })
  const inTurn = withNPlusOne(placeAll(homeless, rooms))
  const isStuck = ({ placed }: Answer) => placed.unplaced.some(hasNoBlade)
  if ((inTurn.after.kept && !isStuck(inTurn)) || homeless.length > MOST_SEARCHED) return inTurn
  const options = evacuationSearch(fleet.rates)
  const searched = withNPlusOne(searchPlaces(homeless, fleet.vms, rooms, options))
  const fewer = inTurn.placed.unplaced.length - searched.placed.unplaced.length
  const best = fewer > 0 || (fewer === 0 && searched.after.kept) ? searched : inTurn
  if (!isStuck(best)) return best
  const impossible = new Set(best.placed.unplaced.filter(each => !hasNoBlade(each)).map(each => each.vmId))
  const meant = homeless.filter(vm => !impossible.has(vm.id))
  return { ...best, relief: findRelief(fleet, meant, new Set(), options) }
}

function nPlusOneAfter({ vms }: FleetSnapshot, { placements, unplaced, rooms }: Placed): NPlusOne {
  const targets = new Map(placements.map(({ vm, to }) => [vm.id, to]))
  const left = new Set(unplaced.map(each => each.vmId))
  const there = vms
    .filter(vm => !left.has(vm.id))
    .map(vm => ({ ...vm, blade: targets.get(vm.id) ?? vm.blade }))
  return nPlusOneOf(there, rooms)
}

function textOf(asked: number, unplaced: number, { kept }: NPlusOne): string {
  if (unplaced > 0) {
    const found = asked > MOST_SEARCHED ? 'no place was found for' : 'no place for'
    return `it does not fit: ${found} ${unplaced} of ${plural(asked, 'VM')}`
  }
  const places = asked === 0 ? 'nothing has to move' : `it fits: ${plural(asked, 'VM')} would find a place`
  return `${places}, and ${kept ? 'any one blade could fail afterwards' : 'afterwards not every blade could fail'}`
}
