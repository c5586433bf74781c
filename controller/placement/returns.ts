import type { VmView } from '../fleet/snapshot.ts'
import { compareVms } from './place.ts'
import type { UnplacedVm } from './plan.ts'
import { freeMemoryBytes, isInMemory, isOpen, type Rooms } from './room.ts'
import { searchPlaces } from './search-places.ts'
import { type Compiled, compile } from './solver/compile.ts'
import { budgetOf, NOWHERE } from './solver/model.ts'
import { createPacker } from './solver/pack.ts'
import { createState, type State } from './solver/state.ts'

/** Where the VMs of dead blades would come back. */
export interface Returns {
  /** Largest memory first. */
  readonly returns: readonly { readonly vm: VmView; readonly to: string }[]
  readonly unplaced: readonly UnplacedVm[]
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
  const fleet = vms.map(asRestored)
  const compiled = compile(rooms, fleet, { purpose: 'restore', overheadBytes: 0 })
  const state = createState(compiled.model)
  const emptiest = openBlades(compiled)
  return (asked, dead) => {
    const coming = asked.map(vm => compiled.vms[compiled.indexOf(vm.id)] as VmView).sort(compareVms)
    const stuck = coming.filter(vm => vm.obstacles.length > 0)
    const free = stuck.length === 0 ? coming : coming.filter(vm => vm.obstacles.length === 0)
    const left: UnplacedVm[] = stuck.map(vm => ({ vmId: vm.id, vm: vm.name, reasons: vm.obstacles }))
    const isLiving = (blade: number) => !dead.has(nameOf(compiled, blade))
    const items = free.map(vm => compiled.indexOf(vm.id))
    const answer = (found: readonly number[]): Returns => {
      const returns = free.map((vm, index) => ({ vm, to: found[index] as number }))
      return {
        returns: returns
          .filter(({ to }) => to !== NOWHERE)
          .map(({ vm, to }) => ({ vm, to: nameOf(compiled, to) })),
        unplaced: [...left, ...returns.filter(({ to }) => to === NOWHERE).map(({ vm }) => withoutPlace(vm))],
      }
    }
    const few = lookAround(state, items, firstOf(emptiest, isLiving, FIRST_ASKED))
    if (!few.includes(NOWHERE)) return answer(few)
    const living = emptiest.filter(isLiving)
    const all = lookAround(state, items, living)
    if (!all.includes(NOWHERE) || items.length > MOST_SEARCHED) return answer(all)
    const found = search(state, items, living)
    if (found !== undefined) return answer(found)
    const { placements, unplaced } = searchPlaces(
      free,
      fleet,
      new Map([...rooms].filter(([name]) => !dead.has(name))),
      { purpose: 'restore', mostAside: 0, keepNPlusOne: false, budgetMs: SEARCH_MS, overheadBytes: 0 },
    )
    return { returns: placements.map(({ vm, to }) => ({ vm, to })), unplaced: [...left, ...unplaced] }
  }
}

function withoutPlace(vm: VmView): UnplacedVm {
  const text = `${vm.name} finds no place beside the others on the blades that are left`
  return { vmId: vm.id, vm: vm.name, reasons: [{ code: 'no-blade-left', text }] }
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

function nameOf({ blades }: Compiled, index: number): string {
  return (blades[index] as (typeof blades)[number]).blade.name
}

function firstOf(all: readonly number[], take: (one: number) => boolean, count: number): number[] {
  const taken: number[] = []
  for (const one of all) {
    if (taken.length === count) break
    if (take(one)) taken.push(one)
  }
  return taken
}

/** Each onto the blade that has the most memory left then, or NOWHERE; in their order. The state is as before. */
function lookAround(state: State, items: readonly number[], onto: readonly number[]): readonly number[] {
  const homes = items.map(item => state.at[item] as number)
  const { dims } = state.model
  for (const item of items) state.lift(item)
  const found = items.map(item => {
    let best = NOWHERE
    for (const blade of onto) {
      if (!state.fits(item, blade)) continue
      if (best === NOWHERE || (state.free[blade * dims] as number) > (state.free[best * dims] as number))
        best = blade
    }
    if (best !== NOWHERE) state.put(item, best)
    return best
  })
  for (const [index, blade] of found.entries())
    if (blade !== NOWHERE) state.unput(items[index] as number, blade)
  for (const [index, item] of items.entries()) state.unlift(item, homes[index] as number)
  return found
}

/** Complete, within its budget. The state is as before. */
function search(
  state: State,
  items: readonly number[],
  onto: readonly number[],
): readonly number[] | undefined {
  const homes = items.map(item => state.at[item] as number)
  const open = state.open.slice()
  state.open.fill(0)
  for (const blade of onto) state.open[blade] = 1
  for (const item of items) state.lift(item)
  let found: readonly number[] | undefined
  const packed = createPacker(state)(items, {
    preference: 'tight',
    budget: budgetOf(SEARCH_MS),
    accept: () => {
      found = items.map(item => state.at[item] as number)
      return true
    },
  })
  if (packed === 'found') for (const item of items) state.unput(item, state.at[item] as number)
  for (const [index, item] of items.entries()) state.unlift(item, homes[index] as number)
  state.open.set(open)
  return found
}
