import type { VmView } from '../fleet/snapshot.ts'
import { explainSteps } from './explain-steps.ts'
import { vmObstacles } from './movable.ts'
import { compareStarts, type Placed, type PlaceOptions, placeAll } from './place.ts'
import type { UnplacedVm } from './plan.ts'
import type { Rooms } from './room.ts'
import { compile } from './solver/compile.ts'
import { budgetOf } from './solver/model.ts'
import { solve } from './solver/solve.ts'
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
  const own = new Set(free.map(vm => vm.id))
  const { purpose } = options
  const company = new Set(solution.steps.flatMap(({ vm }) => compiled.vms[vm]?.id ?? []))
  const roleOf = (vmId: string) => (own.has(vmId) ? 'leaves' : 'makes-room')
  const found = explainSteps(compiled, { ...solution, purpose, company, roleOf }, rooms)
  const left = free.filter(vm => !found.placements.some(each => each.vm.id === vm.id))
  // The search may have run out of steps before it looked: what fits as it stands is placed all the same.
  const rest = placeAll(left, found.rooms, { purpose, now: rooms })
  // It may be the room that the others make.
  const before = found.placements.map(each => each.vm.id)
  const behind = rest.placements.map(each => ({ ...each, needs: [...before, ...each.needs] }))
  return {
    placements: [...found.placements, ...behind],
    unplaced: [...stuck, ...rest.unplaced],
    rooms: rest.rooms,
  }
}
