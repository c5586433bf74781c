import type { Method } from '../../shared/domain/operation.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import type { VmView } from '../fleet/snapshot.ts'
import type { Purpose } from './filters.ts'
import { bladeReasons } from './gate.ts'
import { whereaboutsOf } from './groups.ts'
import { methodOf, vmObstacles } from './movable.ts'
import type { BladeScore, UnplacedVm } from './plan.ts'
import { afterMove, type Room, type Rooms } from './room.ts'
import { compareScores, scoreRoom } from './score.ts'

export interface Placement {
  readonly vm: VmView
  readonly to: string
  readonly method: Method
  readonly scores: readonly BladeScore[]
  readonly rejected: readonly Reason[]
}

export interface Placed {
  /** In the order in which they were chosen: largest memory first, then by name. */
  readonly placements: readonly Placement[]
  readonly unplaced: readonly UnplacedVm[]
  /** The rooms when all placements are done. */
  readonly rooms: Rooms
}

export interface PlaceOptions {
  /** Only this blade will do. */
  readonly only?: string
  readonly override?: boolean
  /** `restore`: they come from their restore points, whatever keeps them from moving. Default `move`. */
  readonly purpose?: Extract<Purpose, 'move' | 'restore'>
}

/**
 * Finds a blade for each VM, one after the other against rooms that already hold the earlier ones. Largest first: a
 * large VM fits in few places, and small ones fill what is left. Greedy on purpose: with a hundred VMs it is instant,
 * every choice can be explained by itself, and what it misses (a shuffle that would make room) is told as unplaced.
 */
export function placeAll(vms: readonly VmView[], rooms: Rooms, options: PlaceOptions = {}): Placed {
  const placements: Placement[] = []
  const unplaced: UnplacedVm[] = []
  let current = rooms
  // What is still to be placed counts as company wherever it goes; once it is placed, the rooms say where.
  const coming = new Set(vms.map(vm => vm.id))
  for (const vm of vms.toSorted(compareVms)) {
    const purpose = options.purpose ?? 'move'
    const own = vmObstacles(vm, purpose)
    const method = purpose === 'restore' ? 'recover' : methodOf(vm)
    coming.delete(vm.id)
    const { scores, rejected } = rank(vm, current, coming, options)
    const best = scores[0]
    if (own.length > 0 || best === undefined || method === undefined) {
      unplaced.push({ vmId: vm.id, vm: vm.name, reasons: own.length > 0 ? own : noBladeLeft(vm, rejected) })
      continue
    }
    placements.push({ vm, to: best.blade, method, scores, rejected })
    current = afterMove(current, vm, best.blade)
  }
  return { placements, unplaced, rooms: current }
}

/** Largest memory first, then by name, then by id: names need not be unique in a fleet. */
export function compareVms(a: VmView, b: VmView): number {
  if (a.memoryBytes !== b.memoryBytes) return b.memoryBytes - a.memoryBytes
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.id < b.id ? -1 : 1
}

function rank(
  vm: VmView,
  rooms: Rooms,
  company: ReadonlySet<string>,
  options: PlaceOptions,
): { scores: readonly BladeScore[]; rejected: readonly Reason[] } {
  const scores: BladeScore[] = []
  const rejected: Reason[] = []
  const asked = { vm, fleet: whereaboutsOf(rooms), company, purpose: options.purpose ?? 'move' }
  for (const room of candidates(vm, rooms, options.only)) {
    const reasons = bladeReasons({ ...asked, room }, options.override ?? false)
    if (reasons.length === 0) scores.push(scoreRoom({ ...asked, room }))
    else rejected.push(...reasons)
  }
  return { scores: scores.sort(compareScores), rejected }
}

/** The VM's own blade is no candidate, unless it was asked for by name: then the person gets the reason. */
function candidates(vm: VmView, rooms: Rooms, only: string | undefined): Room[] {
  return [...rooms.values()]
    .filter(room => (only === undefined ? room.blade.name !== vm.blade : room.blade.name === only))
    .sort((a, b) => (a.blade.name < b.blade.name ? -1 : 1))
}

function noBladeLeft(vm: VmView, rejected: readonly Reason[]): Reason[] {
  const asked = new Set(rejected.map(reason => reason.blade)).size
  const text =
    asked === 0
      ? `there is no other blade for ${vm.name}`
      : `${vm.name} fits on none of ${asked} ${asked === 1 ? 'blade' : 'blades'}`
  return [{ code: 'no-blade-left', text }, ...rejected]
}
