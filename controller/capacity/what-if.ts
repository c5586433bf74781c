import type { Method } from '../../shared/domain/operation.ts'
import { plural } from '../diagnosis/words.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { loadOf } from '../placement/load.ts'
import { placeAll } from '../placement/place.ts'
import type { BladeLoad, NPlusOne, Relief, UnplacedVm } from '../placement/plan.ts'
import { asRestored } from '../placement/returns.ts'
import { roomsOf } from '../placement/room.ts'
import { nPlusOne, nPlusOneOf } from '../placement/survives.ts'
import { type FleetRoom, fleetRoom } from './fleet-room.ts'
import type { WhatIf } from './what-if-check.ts'
import { editFleet } from './what-if-edit.ts'

export interface WhatIfAnswer {
  readonly fits: boolean
  /** One sentence without a full stop. */
  readonly text: string
  readonly changes: readonly string[]
  readonly placements: readonly {
    readonly vm: VmView
    readonly to: string
    /** Undefined for a VM that is new. */
    readonly method: Method | undefined
  }[]
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
  const placed = placeAll(homeless, roomsOf(edited.snapshot))
  const targets = new Map(placed.placements.map(({ vm, to }) => [vm.id, to]))
  const arrived = homeless.flatMap(vm => {
    const to = targets.get(vm.id)
    return to === undefined ? [] : [{ ...vm, blade: to }]
  })
  const after = nPlusOneOf([...edited.snapshot.vms, ...arrived], placed.rooms)
  const fits = placed.unplaced.length === 0
  return {
    fits,
    text: textOf(homeless.length, placed.unplaced.length, after),
    changes: edited.changes,
    placements: placed.placements.map(({ vm, to, method }) => ({
      vm,
      to,
      method: methodFor(vm, method, up),
    })),
    unplaced: placed.unplaced,
    relief: [],
    before: { nPlusOne: nPlusOne(snapshot), room: fleetRoom(roomsOf(snapshot)) },
    after: {
      nPlusOne: after,
      room: fleetRoom(placed.rooms),
      loads: [...placed.rooms.values()].map(loadOf).sort((a, b) => (a.blade < b.blade ? -1 : 1)),
    },
  }
}

function methodFor(vm: VmView, method: Method, up: ReadonlySet<string>): Method | undefined {
  if (vm.blade === '') return undefined
  return up.has(vm.blade) ? method : 'recover'
}

function textOf(asked: number, unplaced: number, { kept }: NPlusOne): string {
  if (unplaced > 0) return `it does not fit: no place for ${unplaced} of ${plural(asked, 'VM')}`
  const places = asked === 0 ? 'nothing has to move' : `it fits: ${plural(asked, 'VM')} would find a place`
  return `${places}, and ${kept ? 'any one blade could fail afterwards' : 'afterwards not every blade could fail'}`
}
