import type { VmView } from '../fleet/snapshot.ts'
import { methodOf, vmObstacles } from './movable.ts'
import { compareStarts, type Placed, type Placement, type PlaceOptions, placeAll, rank } from './place.ts'
import type { UnplacedVm } from './plan.ts'
import { afterMove, type Rooms } from './room.ts'
import { type Compiled, compile } from './solver/compile.ts'
import { budgetOf } from './solver/model.ts'
import { type Solution, solve } from './solver/solve.ts'
import type { PlanRates } from './times.ts'

export interface SearchOptions {
  readonly purpose: NonNullable<PlaceOptions['purpose']>
  /** As many other VMs may step aside. */
  readonly mostAside: number
  /** Prefer a placement after which each blade could be lost. */
  readonly keepNPlusOne: boolean
  /** About as long as the search may take; counted in steps, so that the answer is the same everywhere. */
  readonly budgetMs: number
  /** The overhead of a move, as bytes that could have been copied in its time. */
  readonly overheadBytes: number
}

/** More VMs than these are not asked to step aside for one evacuation. */
const MOST_ASIDE = 4
const DEFAULT_BUDGET_MS = 1_000

/** How places are searched for when blades are emptied, for real or in a question. */
export function evacuationSearch(
  { overheadMs, copyBytesPerSecond }: PlanRates,
  budgetMs = DEFAULT_BUDGET_MS,
): SearchOptions {
  return {
    purpose: 'move',
    mostAside: MOST_ASIDE,
    keepNPlusOne: true,
    budgetMs,
    overheadBytes: (overheadMs * copyBytesPerSecond) / 1000,
  }
}

/**
 * Places for VMs that the best blade for each in turn does not find: complete search, and other VMs that step aside.
 * `fleet` has all VMs, those that look for a place among them.
 */
export function searchPlaces(
  leaving: readonly VmView[],
  fleet: readonly VmView[],
  rooms: Rooms,
  options: SearchOptions,
): Placed {
  const stuck: UnplacedVm[] = []
  const free: VmView[] = []
  for (const vm of leaving.toSorted(compareStarts)) {
    const reasons = vmObstacles(vm, options.purpose)
    if (reasons.length > 0) stuck.push({ vmId: vm.id, vm: vm.name, reasons })
    else free.push(vm)
  }
  const compiled = compile(rooms, fleet, options)
  const solution = solve(
    compiled.model,
    free.map(vm => compiled.indexOf(vm.id)),
    { budget: budgetOf(options.budgetMs), mostAside: options.mostAside, keepNPlusOne: options.keepNPlusOne },
  )
  const found = explained(compiled, solution, new Set(free.map(vm => vm.id)), rooms, options)
  const left = free.filter(vm => !found.placements.some(each => each.vm.id === vm.id))
  // The search may have run out of steps before it looked: what fits as it stands is placed all the same.
  const rest = placeAll(left, found.rooms, { purpose: options.purpose })
  // It may be the room that the others make.
  const before = found.placements.map(each => each.vm.id)
  const behind = rest.placements.map(each => ({ ...each, needs: [...before, ...each.needs] }))
  return {
    placements: [...found.placements, ...behind],
    unplaced: [...stuck, ...rest.unplaced],
    rooms: rest.rooms,
  }
}

/** The moves of a solution as the plan shows them. Each is asked of the gate once more, in its turn. */
function explained(
  { vms, blades }: Compiled,
  solution: Solution,
  own: ReadonlySet<string>,
  rooms: Rooms,
  { purpose }: SearchOptions,
): Placed {
  const placements: Placement[] = []
  const coming = new Set(solution.steps.map(({ vm }) => (vms[vm] as VmView).id))
  let current = rooms
  for (const [index, step] of solution.steps.entries()) {
    const vm = vms[step.vm] as VmView
    const to = (blades[step.to] as (typeof blades)[number]).blade.name
    const method = purpose === 'restore' ? 'recover' : methodOf(vm)
    coming.delete(vm.id)
    const { scores, rejected } = rank(vm, current, coming, { purpose, also: to })
    if (method === undefined || !scores.some(score => score.blade === to)) break
    const needs = (solution.needs[index] ?? []).map(each => (vms[solution.steps[each]?.vm ?? 0] as VmView).id)
    const role = own.has(vm.id) ? 'leaves' : 'makes-room'
    placements.push({ vm, role, needs, to, method, scores, rejected })
    current = afterMove(current, vm, to)
  }
  return { placements, unplaced: [], rooms: current }
}
