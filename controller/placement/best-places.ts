import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { compareStarts, hasNoBlade, type Placed, placeAll } from './place.ts'
import type { NPlusOne, Relief } from './plan.ts'
import { findRelief } from './relief.ts'
import type { Rooms } from './room.ts'
import { ruleOf } from './rules.ts'
import { type SearchOptions, searchPlaces } from './search-places.ts'
import { nPlusOneAfter } from './survives.ts'

export interface BestPlaces {
  readonly placed: Placed
  /** Of the fleet as it then is; VMs that are on no blade of it (yet) do not count. */
  readonly nPlusOne: NPlusOne
  /** What would give a place to those left without one; empty when none are. */
  readonly relief: readonly Relief[]
}

export interface BestPlacesRequest {
  /** The VMs that look for a place; all of them are VMs of the snapshot. */
  readonly leaving: readonly VmView[]
  readonly rooms: Rooms
  readonly search: SearchOptions
  /** Blades that are emptied, and are to take nothing, also in what would help. */
  readonly emptied: ReadonlySet<string>
  /** For more VMs the best blade for each in turn is the answer, without a search. */
  readonly mostSearched: number
}

/**
 * Where these VMs are best put. First the best blade for each in turn: where that leaves none without a place and keeps
 * N+1, no search can do better. Else complete search, with others stepping aside. An evacuation and a what-if ask here,
 * so that they cannot answer differently.
 */
export function bestPlaces(snapshot: FleetSnapshot, request: BestPlacesRequest): BestPlaces {
  const { leaving, rooms, search } = request
  const standing = (placed: Placed) => ({ placed, nPlusOne: nPlusOneAfter(snapshot, placed), relief: [] })
  const greedy = placeAll(leaving, rooms)
  const inTurn = standing({
    ...greedy,
    placements: greedy.placements.toSorted((a, b) => compareStarts(a.vm, b.vm)),
  })
  if ((inTurn.nPlusOne.kept && !isStuck(inTurn)) || leaving.length > request.mostSearched) return inTurn
  const searched = standing(searchPlaces(leaving, snapshot.vms, rooms, search))
  const more = compareUnplaced(searched.placed, inTurn.placed, snapshot)
  const best = more < 0 || (more === 0 && searched.nPlusOne.kept) ? searched : inTurn
  if (!isStuck(best)) return best
  const impossible = new Set(best.placed.unplaced.filter(each => !hasNoBlade(each)).map(each => each.vmId))
  const meant = leaving.filter(vm => !impossible.has(vm.id))
  return { ...best, relief: findRelief(snapshot, meant, request.emptied, search) }
}

/** VMs were left for want of a place, and not for what they are. */
function isStuck({ placed }: BestPlaces): boolean {
  return placed.unplaced.some(hasNoBlade)
}

/** Negative: the first leaves fewer VMs of the highest priority, at which they differ. */
function compareUnplaced(one: Placed, other: Placed, { rules }: FleetSnapshot): number {
  const left = new Map<number, number>()
  const count = ({ unplaced }: Placed, change: number) => {
    for (const { vm } of unplaced) {
      const { priority } = ruleOf(rules, vm)
      left.set(priority, (left.get(priority) ?? 0) + change)
    }
  }
  count(one, 1)
  count(other, -1)
  const differing = [...left].filter(([, difference]) => difference !== 0).sort(([a], [b]) => b - a)
  return differing[0]?.[1] ?? 0
}
