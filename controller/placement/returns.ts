import type { VmView } from '../fleet/snapshot.ts'
import { compareVms, placeAll } from './place.ts'
import type { UnplacedVm } from './plan.ts'
import { freeMemoryBytes, isInMemory, isOpen, type Rooms, withArrival, withoutPromises } from './room.ts'
import { type Compiled, compile } from './solver/compile.ts'
import { lookAround, whileLifted } from './solver/look-around.ts'
import { budgetOf, NOWHERE } from './solver/model.ts'
import { solve } from './solver/solve.ts'
import { createState } from './solver/state.ts'

/** Where the VMs of dead blades would come back; each the largest memory first. */
export interface Returns {
  readonly returns: readonly { readonly vm: VmView; readonly to: string }[]
  readonly unplaced: readonly VmView[]
}

/** Asks what would happen if these VMs had to come back on other blades than `dead`. Each question stands for itself. */
export type Asker = (vms: readonly VmView[], dead: ReadonlySet<string>) => Returns

/** Blades that are tried at first: in a large fleet the VMs of one blade nearly always fit on the emptiest. */
const FIRST_ASKED = 12
/** For a hard question. N+1 asks as many questions as there are blades, every second. */
const SEARCH_MS = 20
/** More VMs at once (half a fleet on one feed) are not searched for: who fits is told, and that the others do not. */
const MOST_SEARCHED = 64

/**
 * Made once for many questions about one fleet; `vms` are all of it. What an easy look does not solve goes to the search,
 * which is complete: only it may say that there is no place.
 */
export function createAsker(rooms: Rooms, vms: readonly VmView[]): Asker {
  const compiled = compile(rooms, vms.map(asRestored), { purpose: 'restore', overheadBytes: 0 })
  const state = createState(compiled.model)
  const emptiest = openBlades(compiled)
  const promised = promisedElsewhere(rooms, vms)
  return (asked, dead) => {
    // What is promised to a VM that moves must not stand in the way of its own return; the others go around it.
    const moving = asked.filter(vm => promised.has(vm.id))
    if (moving.length > 0) return createAsker(withoutPromises(rooms, moving), vms)(asked, dead)
    const coming = asked.map(vm => compiled.vms[compiled.indexOf(vm.id)] as VmView).sort(compareVms)
    const items = coming.filter(vm => vm.obstacles.length === 0).map(vm => compiled.indexOf(vm.id))
    const isLiving = (blade: number) => !dead.has(compiled.nameOf(blade))
    const answer = (found: readonly number[]) => {
      const targets = new Map(items.map((item, index) => [item, found[index] as number]))
      return answerOf(compiled, coming, targets)
    }
    const look = (onto: readonly number[]) => whileLifted(state, items, () => lookAround(state, items, onto))
    const few = look(firstOf(emptiest, isLiving, FIRST_ASKED))
    if (!few.includes(NOWHERE)) return answer(few)
    const living = emptiest.filter(isLiving)
    const all = look(living)
    if (!all.includes(NOWHERE) || items.length > MOST_SEARCHED) return answer(all)
    return answerOf(compiled, coming, search(compiled, items, living))
  }
}

/** Ids of the VMs for which a blade beside their own keeps room. */
function promisedElsewhere(rooms: Rooms, vms: readonly VmView[]): ReadonlySet<string> {
  const promises = [...rooms.values()].flatMap(({ blade, vms: there }) =>
    blade.reservations
      .filter(each => there.has(each.vmId))
      .map(each => ({ blade: blade.name, id: each.vmId })),
  )
  if (promises.length === 0) return new Set()
  const homes = new Map(vms.map(vm => [vm.id, vm.blade]))
  return new Set(promises.filter(({ blade, id }) => (homes.get(id) ?? blade) !== blade).map(({ id }) => id))
}

function answerOf(
  compiled: Compiled,
  coming: readonly VmView[],
  targets: ReadonlyMap<number, number>,
): Returns {
  const to = (vm: VmView) => targets.get(compiled.indexOf(vm.id)) ?? NOWHERE
  return {
    returns: coming.filter(vm => to(vm) !== NOWHERE).map(vm => ({ vm, to: compiled.nameOf(to(vm)) })),
    unplaced: coming.filter(vm => to(vm) === NOWHERE),
  }
}

/** Complete, within its budget: all of them, else as many as there is a place for. By item, its blade. */
function search(
  { model }: Compiled,
  items: readonly number[],
  onto: readonly number[],
): ReadonlyMap<number, number> {
  const open = new Uint8Array(model.bladeCount)
  for (const blade of onto) open[blade] = 1
  const options = { budget: budgetOf(SEARCH_MS), mostAside: 0, keepNPlusOne: false }
  const { steps } = solve({ ...model, open }, items, options)
  return new Map(steps.map(({ vm, to }) => [vm, to]))
}

/** Why those without a place have none, on the blades that are left and beside those that have one. */
export function withReasons(
  rooms: Rooms,
  dead: ReadonlySet<string>,
  { returns, unplaced }: Returns,
): UnplacedVm[] {
  const now: Rooms = new Map([...rooms].filter(([name]) => !dead.has(name)))
  const living = new Map(now)
  for (const { vm, to } of returns) {
    const room = living.get(to)
    if (room !== undefined) living.set(to, withArrival(room, vm))
  }
  return unplaced.map(vm => {
    const told = { vmId: vm.id, vm: vm.name }
    if (vm.obstacles.length > 0) return { ...told, reasons: vm.obstacles }
    const [refused] =
      unplaced.length > MOST_SEARCHED ? [] : placeAll([vm], living, { purpose: 'restore', now }).unplaced
    return { ...told, reasons: refused?.reasons ?? [besideOthers(vm)] }
  })
}

function besideOthers(vm: VmView): UnplacedVm['reasons'][number] {
  const text = `${vm.name} finds no place beside the others on the blades that are left`
  return { code: 'no-blade-left', text }
}

/**
 * The VM as it comes back from its restore point, when its moment has passed: one that is paused, or moves right now,
 * does not take away the fleet's N+1 for a minute. Only what ties it to its blade is still in its way.
 */
export function asRestored(vm: VmView): VmView {
  return {
    ...vm,
    state: isInMemory(vm) ? 'running' : 'stopped',
    operation: '',
    persistent: true,
    obstacles:
      vm.obstacles.length === 0
        ? vm.obstacles
        : vm.obstacles.filter(obstacle => obstacle.code === 'passed-through-device'),
  }
}

/** Those that take VMs, the emptiest first. */
function openBlades({ blades }: Compiled): readonly number[] {
  const free = blades.map(freeMemoryBytes)
  return [...blades.keys()]
    .filter(index => isOpen((blades[index] as (typeof blades)[number]).blade))
    .sort((a, b) => (free[b] as number) - (free[a] as number) || a - b)
}

function firstOf(all: readonly number[], take: (one: number) => boolean, count: number): number[] {
  const taken: number[] = []
  for (const one of all) {
    if (taken.length === count) break
    if (take(one)) taken.push(one)
  }
  return taken
}
