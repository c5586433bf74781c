import type { VmView } from '../fleet/snapshot.ts'
import { bladeReasons } from './gate.ts'
import { type Whereabouts, whereaboutsOf } from './groups.ts'
import { compareVms, placeAll } from './place.ts'
import type { UnplacedVm } from './plan.ts'
import {
  isInMemory,
  isOpen,
  type Room,
  type Rooms,
  usableMemoryBytes,
  usedMemoryBytes,
  withArrival,
} from './room.ts'

/** Where the VMs of dead blades would come back. */
export interface Returns {
  /** Largest memory first. */
  readonly returns: readonly { readonly vm: VmView; readonly to: string }[]
  readonly unplaced: readonly UnplacedVm[]
}

/** Asks what would happen if these VMs had to come back on other blades than `dead`. Each question stands for itself. */
export type Asker = (vms: readonly VmView[], dead: ReadonlySet<string>) => Returns

/**
 * Made once for many questions: N+1 asks one for each blade, every second. Most answers are easy, so the emptiest blade
 * is tried first, then the fullest that still fits (which leaves room for large ones); only what neither solves goes to
 * the planner, and only the planner may say that there is no place. Every answer passes the one gate.
 */
export function createAsker(rooms: Rooms): Asker {
  const ladder = ladderOf(rooms.values())
  const fleet = whereaboutsOf(rooms)
  return (vms, dead) => {
    const coming = vms.map(settled)
    const stuck = coming.filter(vm => tiedTo(vm).length > 0)
    const free = coming.filter(vm => tiedTo(vm).length === 0).sort(compareVms)
    const left: UnplacedVm[] = stuck.map(vm => ({ vmId: vm.id, vm: vm.name, reasons: tiedTo(vm) }))
    for (const order of ['emptiest', 'fullest'] as const) {
      const returns = packInOrder(free, { dead, ladder, fleet }, order)
      if (returns !== undefined) return { returns, unplaced: left }
    }
    const living = new Map([...rooms].filter(([name]) => !dead.has(name)))
    const { placements, unplaced } = placeAll(free, living, { purpose: 'restore' })
    return { returns: placements.map(({ vm, to }) => ({ vm, to })), unplaced: [...left, ...unplaced] }
  }
}

/**
 * The VM as it will be when its moment has passed. A VM that is paused, or moves right now, does not take away the
 * fleet's N+1 for a minute: the question is one of room.
 */
function settled(vm: VmView): VmView {
  return { ...vm, state: isInMemory(vm) ? 'running' : 'stopped', operation: '' }
}

/** The VM as it comes back from its restore point: only what ties it to its blade is still in its way. */
export function asRestored(vm: VmView): VmView {
  return { ...settled(vm), persistent: true, obstacles: tiedTo(vm) }
}

/** What keeps it from running anywhere else, even from a restore point: the other obstacles are about moving alone. */
function tiedTo(vm: VmView): VmView['obstacles'] {
  return vm.obstacles.filter(obstacle => obstacle.code === 'passed-through-device')
}

/** Those that died with it and are not back yet are nowhere: nobody must be joined, nor kept apart from. */
const ALONE: ReadonlySet<string> = new Set()

/** A blade that may take VMs, with the two numbers that say at once that it cannot. */
interface Rung {
  readonly room: Room
  readonly memoryBytes: number
  readonly places: number
}

/** The emptiest first. */
type Ladder = readonly Rung[]

function ladderOf(rooms: Iterable<Room>): Ladder {
  return [...rooms]
    .filter(({ blade }) => isOpen(blade))
    .map(rungOf)
    .sort(compareRungs)
}

function rungOf(room: Room): Rung {
  return {
    room,
    memoryBytes: usableMemoryBytes(room) - usedMemoryBytes(room),
    places: room.blade.maxVms - room.vms.size,
  }
}

function compareRungs(a: Rung, b: Rung): number {
  if (a.memoryBytes !== b.memoryBytes) return b.memoryBytes - a.memoryBytes
  if (a.places !== b.places) return b.places - a.places
  return a.room.blade.name < b.room.blade.name ? -1 : 1
}

interface Question {
  readonly dead: ReadonlySet<string>
  readonly ladder: Ladder
  /** Of the fleet before the loss. */
  readonly fleet: Whereabouts
}

/** VM after VM onto the first blade that takes it, in that order; undefined when one of them finds none. */
function packInOrder(
  vms: readonly VmView[],
  question: Question,
  order: 'emptiest' | 'fullest',
): Returns['returns'] | undefined {
  /** Those that took one already, as they are then; they stand in for their rungs of the ladder. */
  const changed = new Map<string, Rung>()
  const returns: { vm: VmView; to: string }[] = []
  const fleet: Whereabouts = name => [
    ...question.fleet(name).filter(({ blade }) => !question.dead.has(blade.name)),
    ...returns.flatMap(({ vm, to }) => {
      const blade = changed.get(to)?.room.blade
      return blade === undefined || vm.name !== name ? [] : [{ id: vm.id, name, blade }]
    }),
  ]
  for (const vm of vms) {
    const taker = firstTaker(vm, { ...question, fleet }, changed, order)
    if (taker === undefined) return undefined
    const { name } = taker.room.blade
    changed.set(name, rungOf(withArrival(taker.room, vm)))
    returns.push({ vm, to: name })
  }
  return returns
}

function firstTaker(
  vm: VmView,
  { dead, ladder, fleet }: Question,
  changed: ReadonlyMap<string, Rung>,
  order: 'emptiest' | 'fullest',
): Rung | undefined {
  const needed = isInMemory(vm) ? vm.memoryBytes : 0
  const takes = (rung: Rung) =>
    rung.places > 0 &&
    rung.memoryBytes >= needed &&
    !dead.has(rung.room.blade.name) &&
    bladeReasons({ vm, room: rung.room, purpose: 'restore', fleet, company: ALONE }, false).length === 0
  const better = order === 'emptiest' ? compareRungs : (a: Rung, b: Rung) => compareRungs(b, a)
  const second = [...changed.values()].filter(takes).sort(better)[0]
  const isUnchanged = (rung: Rung) => !changed.has(rung.room.blade.name)
  const first =
    order === 'emptiest'
      ? ladder.find(rung => isUnchanged(rung) && takes(rung))
      : ladder.findLast(rung => isUnchanged(rung) && takes(rung))
  if (first === undefined || second === undefined) return first ?? second
  return better(first, second) <= 0 ? first : second
}
