import type { Method } from '../../shared/domain/operation.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import { plural } from '../../shared/domain/units.ts'
import type { VmView } from '../fleet/snapshot.ts'
import type { Candidate, Purpose } from './filters.ts'
import { bladeReasons, companyOf } from './gate.ts'
import { checkTogether, inTheWay, whereaboutsOf } from './groups.ts'
import { methodOf, vmObstacles } from './movable.ts'
import type { BladeScore, MoveRole, UnplacedVm } from './plan.ts'
import { afterMove, freeMemoryBytes, isOpen, type Room, type Rooms } from './room.ts'
import { compareScores, scoreRoom } from './score.ts'

export interface Placement {
  readonly vm: VmView
  readonly role: MoveRole
  /** Ids of VMs: their moves must be done before. */
  readonly needs: readonly string[]
  readonly to: string
  readonly method: Method
  readonly scores: readonly BladeScore[]
  readonly rejected: readonly Reason[]
}

export interface Placed {
  /** In an order in which each may begin; of those placed in turn the largest memory first, then by name. */
  readonly placements: readonly Placement[]
  readonly unplaced: readonly UnplacedVm[]
  /** The rooms when all placements are done. */
  readonly rooms: Rooms
}

const NOBODY: ReadonlySet<string> = new Set()

export interface PlaceOptions {
  /** Only this blade will do. */
  readonly only?: string
  /** Asked among others, however many there are. */
  readonly also?: string
  readonly override?: boolean
  /** `restore`: they come from their restore points, whatever keeps them from moving. Default `move`. */
  readonly purpose?: Extract<Purpose, 'move' | 'restore'>
  /** The rooms as they are, before any of what is planned. Default: those that are given. */
  readonly now?: Rooms
}

/**
 * The best blade for each VM by score, one after the other against rooms that already hold the earlier ones. Largest
 * first: a large VM fits in few places, and small ones fill what is left. In a fleet with room this finds the evenest
 * plan at once, and each choice is explained by itself; where it leaves a VM without a place, search-places.ts searches.
 */
export function placeAll(vms: readonly VmView[], rooms: Rooms, options: PlaceOptions = {}): Placed {
  const alone = new Set<string>()
  for (;;) {
    const placed = placeInTurn(vms, rooms, options, alone)
    const torn = options.override === true ? undefined : tornFrom(placed.placements, rooms)
    if (torn === undefined || alone.has(torn.vm.id)) return placed
    alone.add(torn.vm.id)
  }
}

/**
 * The first of them that would leave others behind with which it is kept together: they were to come along, and found
 * no place. It is asked as the re-check before the move asks it, which lets nothing else pass.
 */
function tornFrom(placements: readonly Placement[], rooms: Rooms): Placement | undefined {
  const moves = placements.map(({ vm, to }) => ({ vmId: vm.id, to }))
  let current = rooms
  return placements.find(({ vm, to }) => {
    const room = current.get(to) as Room
    const company = companyOf(moves, { vmId: vm.id, to })
    const reasons = checkTogether({ vm, room, purpose: 'move', fleet: whereaboutsOf(current), company })
    current = afterMove(current, vm, to)
    return reasons.length > 0
  })
}

/** `alone`: ids of VMs that nobody comes along with. */
function placeInTurn(
  vms: readonly VmView[],
  rooms: Rooms,
  options: PlaceOptions,
  alone: ReadonlySet<string>,
): Placed {
  const placements: Placement[] = []
  const unplaced: UnplacedVm[] = []
  let current = rooms
  // What is still to be placed counts as company wherever it goes; once it is placed, the rooms say where.
  const coming = new Set(vms.map(vm => vm.id).filter(id => !alone.has(id)))
  for (const vm of vms.toSorted(compareVms)) {
    const purpose = options.purpose ?? 'move'
    const own = vmObstacles(vm, purpose)
    const method = purpose === 'restore' ? 'recover' : methodOf(vm)
    coming.delete(vm.id)
    const company = alone.has(vm.id) ? NOBODY : coming
    const { scores, rejected } = rank(vm, current, company, { now: rooms, ...options })
    const best = scores[0]
    if (own.length > 0 || best === undefined || method === undefined) {
      unplaced.push({ vmId: vm.id, vm: vm.name, reasons: own.length > 0 ? own : noBladeLeft(vm, rejected) })
      continue
    }
    const room = current.get(best.blade) as Room
    const gone = placements.map(each => each.vm)
    const needs = inTheWay({ vm, room }, gone, name => rooms.get(name)?.blade).map(each => each.id)
    placements.push({ vm, role: 'leaves', needs, to: best.blade, method, scores, rejected })
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

/** Running VMs first, somebody uses them; of those the largest, which is the longest at risk. */
export function compareStarts(a: VmView, b: VmView): number {
  return Number(methodOf(a) === 'cold') - Number(methodOf(b) === 'cold') || compareVms(a, b)
}

/** Which blades would take the VM, best first, and why the others would not. `company`: see Candidate. */
export function rank(
  vm: VmView,
  rooms: Rooms,
  company: ReadonlySet<string>,
  options: PlaceOptions = {},
): { scores: readonly BladeScore[]; rejected: readonly Reason[] } {
  const scores: BladeScore[] = []
  const rejected: Reason[] = []
  const asked = { vm, fleet: whereaboutsOf(rooms), company, purpose: options.purpose ?? 'move' }
  for (const room of candidates(vm, rooms, options)) {
    const reasons = bladeReasons({ ...asked, room }, options.override ?? false)
    if (reasons.length === 0) scores.push(scoreRoom({ ...asked, room }))
    else rejected.push(...inTime(reasons, { ...asked, room }, options))
  }
  return { scores: scores.sort(compareScores), rejected }
}

const BY_THEN = 'by then, '

/** What stands in the way only when others have moved before is told so: whoever looks at the blade now does not see it. */
function inTime(
  reasons: readonly Reason[],
  candidate: Candidate,
  { now, override = false }: PlaceOptions,
): readonly Reason[] {
  const room = now?.get(candidate.room.blade.name)
  if (now === undefined || room === undefined) return reasons
  // Rules look beyond the blade; all else is as the room is.
  const isAsNow = (code: Reason['code']) => code !== 'kept-apart' && code !== 'kept-together'
  if (room === candidate.room && reasons.every(reason => isAsNow(reason.code))) return reasons
  const today = bladeReasons({ ...candidate, room, fleet: whereaboutsOf(now) }, override)
  const texts = new Set(today.map(reason => reason.text))
  return reasons.map(reason => (texts.has(reason.text) ? reason : { ...reason, text: BY_THEN + reason.text }))
}

/** In a larger fleet only so many blades are asked, those with the most memory left: nobody reads a thousand reasons. */
const MOST_CANDIDATES = 64

/** The VM's own blade is no candidate, unless it was asked for by name: then the person gets the reason. */
function candidates(vm: VmView, rooms: Rooms, { only, also }: PlaceOptions): Room[] {
  if (only !== undefined) return [...rooms.values()].filter(({ blade }) => blade.name === only)
  const others = [...rooms.values()].filter(({ blade }) => blade.name !== vm.blade)
  if (others.length <= MOST_CANDIDATES) return others.sort(compareNames)
  const takes = (room: Room) => isOpen(room.blade) && room.vms.size < room.blade.maxVms
  const free = new Map(others.map(room => [room, takes(room) ? freeMemoryBytes(room) : -1]))
  const emptiest = others.sort((a, b) => (free.get(b) ?? 0) - (free.get(a) ?? 0) || compareNames(a, b))
  const asked = emptiest.slice(0, MOST_CANDIDATES)
  const chosen = emptiest.slice(MOST_CANDIDATES).filter(({ blade }) => blade.name === also)
  return [...asked, ...chosen].sort(compareNames)
}

function compareNames(a: Room, b: Room): number {
  return a.blade.name < b.blade.name ? -1 : 1
}

/** It was left for want of a place, and not for what it is. */
export function hasNoBlade({ reasons }: UnplacedVm): boolean {
  return reasons.some(reason => reason.code === 'no-blade-left')
}

function noBladeLeft(vm: VmView, rejected: readonly Reason[]): Reason[] {
  const asked = new Set(rejected.map(reason => reason.blade)).size
  const when = rejected.some(reason => reason.text.startsWith(BY_THEN))
    ? ' once the others have their places'
    : ''
  const text =
    asked === 0
      ? `there is no other blade for ${vm.name}`
      : `${vm.name} fits on none of ${plural(asked, 'blade')}${when}`
  return [{ code: 'no-blade-left', text }, ...rejected]
}
