import { plural } from '../../shared/domain/units.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { bestPlaces } from '../placement/best-places.ts'
import { loadsByName } from '../placement/load.ts'
import type { Placement } from '../placement/place.ts'
import type { BladeLoad, NPlusOne, Relief, UnplacedVm } from '../placement/plan.ts'
import { asRestored } from '../placement/returns.ts'
import { roomsOf } from '../placement/room.ts'
import { evacuationSearch } from '../placement/search-places.ts'
import { nPlusOne as nPlusOneNow } from '../placement/survives.ts'
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

/** The fleet with those changes, answered by the planner itself. Changes nothing. Throws as checkWhatIf does. */
export function whatIf(snapshot: FleetSnapshot, wish: WhatIf): WhatIfAnswer {
  const edited = editFleet(snapshot, wish)
  const up = new Set(snapshot.blades.filter(blade => blade.liveness === 'up').map(blade => blade.name))
  // What a silent blade has comes back from the vault, as it would if the blade stayed away.
  const homeless = edited.homeless.map(vm => (vm.blade === '' || up.has(vm.blade) ? vm : asRestored(vm)))
  const fleet = { ...edited.snapshot, vms: [...edited.snapshot.vms, ...homeless] }
  const { placed, nPlusOne, relief } = bestPlaces(fleet, {
    leaving: homeless,
    rooms: roomsOf(fleet),
    search: evacuationSearch(fleet.rates),
    emptied: new Set(),
    mostSearched: MOST_SEARCHED,
  })
  const fits = placed.unplaced.length === 0
  return {
    fits,
    text: textOf(homeless.length, placed.unplaced.length, nPlusOne),
    changes: edited.changes,
    placements: placed.placements.map(each =>
      each.vm.blade === '' || up.has(each.vm.blade) ? each : { ...each, method: 'recover' },
    ),
    unplaced: placed.unplaced,
    relief,
    before: { nPlusOne: nPlusOneNow(snapshot), room: fleetRoom(roomsOf(snapshot)) },
    after: {
      nPlusOne,
      room: fleetRoom(placed.rooms),
      loads: loadsByName(placed.rooms),
    },
  }
}

/** For more VMs at once the best blade for each in turn is the answer: a search would keep the controller too long. */
const MOST_SEARCHED = 100

function textOf(asked: number, unplaced: number, { kept }: NPlusOne): string {
  if (unplaced > 0) {
    const found = asked > MOST_SEARCHED ? 'no place was found for' : 'no place for'
    return `it does not fit: ${found} ${unplaced} of ${plural(asked, 'VM')}`
  }
  const places = asked === 0 ? 'nothing has to move' : `it fits: ${plural(asked, 'VM')} would find a place`
  return `${places}, and ${kept ? 'any one blade could fail afterwards' : 'afterwards not every blade could fail'}`
}
