import { createLossCheck } from './loss-check.ts'
import { makeRoom } from './make-room.ts'
import type { Budget, Model, Step } from './model.ts'
import { needsOf } from './order.ts'
import { createPacker, type Packer } from './pack.ts'
import { createPick } from './pick-order.ts'
import { createState, type State } from './state.ts'

export interface SolveOptions {
  readonly budget: Budget
  /** At most so many other VMs step aside; 0: none. */
  readonly mostAside: number
  /** Of placements with the same work prefer one after which each blade could be lost. */
  readonly keepNPlusOne: boolean
}

export interface Solution {
  /** In an order in which each is legal. */
  readonly steps: readonly Step[]
  /** Of each step: earlier ones that must be done before. Any interleaving that keeps to it is legal. */
  readonly needs: readonly (readonly number[])[]
  readonly unplaced: readonly number[]
  /** Bytes moved for VMs that only step aside, and what no plan can do with less of. Equal: proven the least. */
  readonly asideWork: number
  readonly leastAsideWork: number
}

/** Of the budget, for looking at placements that differ only in what they leave of N+1. */
const N_PLUS_ONE_SHARE = 0.1
/** Enough for a direct placement in a small fleet, whatever was spent before. */
const MINIMUM_STEPS = 200_000

/**
 * Where the leaving VMs go, by these goals, each before the next: no rule is broken; all are placed; if not all can be,
 * those of the highest priority, then as many as possible; the least work for VMs that step aside; N+1 is kept; an even
 * load. Complete within its budget; beyond it the best found, with a bound that says how far it may be from the best.
 */
export function solve(model: Model, leaving: readonly number[], options: SolveOptions): Solution {
  return placeEach(model, leaving, options) ?? placeMost(model, leaving, options)
}

/** Whether all of them have a place, others stepping aside. Out of budget counts as no. */
export function canPlaceAll(
  model: Model,
  leaving: readonly number[],
  options: Pick<SolveOptions, 'budget' | 'mostAside'>,
): boolean {
  return placeEach(model, leaving, { ...options, keepNPlusOne: false }) !== undefined
}

/** In turn by priority, then the lightest first: one after the other, each kept if those before still have a place with it. */
function placeMost(model: Model, leaving: readonly number[], options: SolveOptions): Solution {
  const placed = new Set<number>()
  let best: Solution = { steps: [], needs: [], unplaced: [], asideWork: 0, leastAsideWork: 0 }
  const inTurn = [...leaving].sort((a, b) => compareTurns(model, a, b))
  for (const [index, vm] of inTurn.entries()) {
    // Each gets its share of what is left, so that the last one is asked as well as the first.
    const share = Math.floor(options.budget.left / (inTurn.length - index))
    const budget = { left: Math.max(MINIMUM_STEPS, share) }
    const allowed = budget.left
    // In the order they were given: it is the one in which they would best leave.
    const together = leaving.filter(each => each === vm || placed.has(each))
    const found = placeEach(model, together, { ...options, budget })
    options.budget.left -= allowed - budget.left
    if (found === undefined) continue
    placed.add(vm)
    best = found
  }
  return { ...best, unplaced: leaving.filter(vm => !placed.has(vm)) }
}

function compareTurns({ priority, need, dims }: Model, a: number, b: number): number {
  const byPriority = (priority[b] as number) - (priority[a] as number)
  if (byPriority !== 0) return byPriority
  for (let dim = 0; dim < dims; dim++) {
    const difference = (need[a * dims + dim] as number) - (need[b * dims + dim] as number)
    if (difference !== 0) return difference
  }
  return a - b
}

/** All of them, or undefined. */
function placeEach(model: Model, leaving: readonly number[], options: SolveOptions): Solution | undefined {
  const state = createState(model)
  for (const vm of leaving) if ((model.at[vm] as number) >= 0) state.lift(vm)
  if (!hasRoomInAll(state, leaving)) return undefined
  const packer = createPacker(state)
  const direct = placeDirectly(state, packer, leaving, options)
  if (direct !== undefined) return solution(model, leaving, direct, 0)
  const { budget, mostAside } = options
  const prefer = preference(state, options)
  const { order, leastWork } = makeRoom({ state, packer, leaving, mostAside, budget, prefer })
  return order === undefined ? undefined : solution(model, leaving, order, leastWork)
}

/** However VMs are shuffled, all free room together has to hold those that come: nobody gives back more than he takes. */
function hasRoomInAll({ model, free, open }: State, coming: readonly number[]): boolean {
  const { dims, need, bladeCount } = model
  for (let dim = 0; dim < dims; dim++) {
    let wanted = 0
    for (const vm of coming) wanted += need[vm * dims + dim] as number
    let room = 0
    for (let blade = 0; blade < bladeCount && room < wanted; blade++)
      if (open[blade] === 1) room += Math.max(0, free[blade * dims + dim] as number)
    if (room < wanted) return false
  }
  return true
}

/** Nobody else moves. Of the placements that keep N+1 the most even one, else the most even of all. */
function placeDirectly(
  state: State,
  packer: Packer,
  leaving: readonly number[],
  options: SolveOptions,
): readonly Step[] | undefined {
  const pick = createPick(state, leaving, preference(state, options))
  for (const preference of ['spread', 'tight'] as const) {
    const budget = { left: Math.ceil(options.budget.left / 3) }
    const allowed = budget.left
    const packed = packer(leaving, { preference, budget, accept: pick.accept })
    options.budget.left -= allowed - budget.left
    if (packed === 'found') for (const vm of leaving) state.unput(vm, state.at[vm] as number)
    // A complete search that found none has answered for the other order of looking as well.
    if (packed !== 'unknown') break
  }
  return pick.best()
}

/** True of a placement that keeps N+1; of any, when that is not asked for or has cost enough. */
function preference(state: State, { budget, keepNPlusOne }: SolveOptions): () => boolean {
  const own = { left: Math.floor(budget.left * N_PLUS_ONE_SHARE) }
  const survivesEachLoss = createLossCheck(state)
  return () => {
    if (!keepNPlusOne || own.left <= 0) return true
    const before = own.left
    const kept = survivesEachLoss(own)
    // A look costs something, also one that ended at the first sum.
    own.left -= state.model.bladeCount
    budget.left -= before - own.left
    return kept
  }
}

function solution(
  model: Model,
  leaving: readonly number[],
  steps: readonly Step[],
  leastWork: number,
): Solution {
  const own = new Set(leaving)
  const asideWork = steps.reduce((sum, { vm }) => (own.has(vm) ? sum : sum + (model.work[vm] as number)), 0)
  return {
    steps,
    needs: needsOf(model, steps),
    unplaced: [],
    asideWork,
    leastAsideWork: Math.min(asideWork, leastWork),
  }
}
