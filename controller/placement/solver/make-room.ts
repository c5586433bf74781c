import { cheapestSets, MOST_CANDIDATES } from './cheapest-sets.ts'
import { type Budget, NOWHERE, type Step } from './model.ts'
import type { Packer } from './pack.ts'
import { createPick } from './pick-order.ts'
import type { State } from './state.ts'

export interface RoomRequest {
  readonly state: State
  readonly packer: Packer
  /** Lifted, and looking for a place. */
  readonly leaving: readonly number[]
  readonly mostAside: number
  readonly budget: Budget
  /** Of the placements with the cheapest set, one of which this is true is preferred. */
  readonly prefer: () => boolean
}

export interface RoomAnswer {
  /** A legal order of all moves; undefined: none was found. The state is as before either way. */
  readonly order: readonly Step[] | undefined
  /** No cheaper set of VMs that step aside can do, in bytes. Infinity: none can, however much is moved. */
  readonly leastWork: number
}

/** One set is searched no longer than this, so that a hard one does not take what a hundred easy ones would need. */
const STEPS_PER_SET = 200_000

/**
 * Lets others step aside until all fit: sets of VMs in order of what moving them costs, each packed by complete search.
 * So the first that works is the cheapest, and what was refuted before is a proof. Greedy eviction was the other road:
 * it is quick, but says neither that there is no way nor that there is no cheaper one.
 */
export function makeRoom(request: RoomRequest): RoomAnswer {
  const { state, leaving, budget } = request
  const all = stepAsideCandidates(state, leaving)
  const candidates = all.slice(0, MOST_CANDIDATES)
  const hardestFirst = byBladesLeft(state, leaving)
  const work = candidates.map(vm => state.model.work[vm] as number)
  // Nothing was looked for among those that were left out.
  let leastWork = all.length > candidates.length ? (work.at(-1) ?? 0) : Number.POSITIVE_INFINITY
  for (const { members, cost } of cheapestSets(work, request.mostAside)) {
    if (budget.left <= 0) return { order: undefined, leastWork: Math.min(leastWork, cost) }
    const { order, proven } = packWith(
      request,
      hardestFirst,
      members.map(index => candidates[index] as number),
    )
    if (order !== undefined) return { order, leastWork: Math.min(leastWork, cost) }
    if (!proven) leastWork = Math.min(leastWork, cost)
  }
  return { order: undefined, leastWork }
}

/** `proven`: with these VMs stepping aside there is no way. */
function packWith(
  { state, packer, leaving, budget, prefer }: RoomRequest,
  hardestFirst: readonly number[],
  aside: readonly number[],
): { order: readonly Step[] | undefined; proven: boolean } {
  const homes = aside.map(vm => state.at[vm] as number)
  const items = [...hardestFirst, ...aside]
  const own = { left: Math.min(STEPS_PER_SET, budget.left) }
  const allowed = own.left
  const pick = createPick(state, [...leaving, ...aside], prefer)
  for (const vm of aside) state.lift(vm)
  const packed = packer(items, { preference: 'tight', budget: own, accept: pick.accept })
  if (packed === 'found') for (const vm of items) state.unput(vm, state.at[vm] as number)
  for (const [index, vm] of aside.entries()) state.unlift(vm, homes[index] as number)
  budget.left -= allowed - own.left + items.length
  return { order: pick.best(), proven: packed === 'none' }
}

/** A VM that no blade would take as things are is asked first: most sets do not help it, and that ends the look at them. */
function byBladesLeft(state: State, vms: readonly number[]): number[] {
  const left = new Map<number, number>()
  for (const vm of vms) {
    let count = 0
    for (let blade = 0; blade < state.model.bladeCount; blade++) if (state.fits(vm, blade)) count++
    left.set(vm, count)
  }
  return [...vms].sort((a, b) => (left.get(a) ?? 0) - (left.get(b) ?? 0) || a - b)
}

/** VMs whose leaving makes room on a blade that takes newcomers; the cheapest to move first. */
function stepAsideCandidates({ model, at, open }: State, leaving: readonly number[]): number[] {
  const already = new Set(leaving)
  const candidates: number[] = []
  for (let vm = 0; vm < model.vmCount; vm++) {
    const blade = at[vm] as number
    if (blade !== NOWHERE && open[blade] === 1 && model.movable[vm] === 1 && !already.has(vm))
      candidates.push(vm)
  }
  return candidates.sort((a, b) => (model.work[a] as number) - (model.work[b] as number) || a - b)
}
