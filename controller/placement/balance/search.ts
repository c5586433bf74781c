import { NOWHERE, type Step } from '../solver/model.ts'
import type { State } from '../solver/state.ts'
import { openBlades, type Shortage, shortages } from './shortage.ts'

export interface BalanceOptions {
  readonly state: State
  /** Of each blade, its memory in bytes: what VMs may use in all. */
  readonly memoryBytes: readonly number[]
  /** 1: the VM may be moved. */
  readonly movable: Uint8Array
  readonly mostMoves: number
  /** A move for the load's sake lowers the fuller of its two blades by this share of its memory, or is not worth it. */
  readonly leastGain: number
}

/** In a larger fleet only the blades nearest to the trouble, and the emptiest, are looked at. */
const SMALL_FLEET = 40
const NEAREST_BLADES = 8
const EMPTIEST_BLADES = 12
/** Lost blades whose VMs are looked after in one round. */
const WORST_LOSSES = 4
/** Gains below it are the rounding of fractions. */
const EPSILON = 1e-9

/**
 * Moves that restore N+1, as few as it takes; then moves that lower the highest load. The state holds them when it
 * returns. Each step fits when its turn comes. Best improvement, one after the other: every move of such a plan can be
 * explained by itself, and a person decides about it anyway.
 */
export function searchBalance(options: BalanceOptions): Step[] {
  const steps = restoreNPlusOne(options)
  return [...steps, ...lowerLoads(options, steps)]
}

function restoreNPlusOne(options: BalanceOptions): Step[] {
  const { state } = options
  const before = shortages(state, openBlades(state))
  const steps: Step[] = []
  let lost = before
  while (lost.length > 0 && steps.length < options.mostMoves) {
    const step = bestRepair(options, lost, steps)
    if (step === undefined) break
    apply(state, step)
    steps.push(step)
    lost = shortages(state, openBlades(state))
  }
  // Moves that help none of the blades all the way are work for nothing.
  if (lost.length >= before.length) {
    for (const step of steps.reverse()) undo(state, step)
    return []
  }
  return withoutIdle(state, steps, lost.length)
}

/** The move after which least is missing; of equal ones the cheapest, then the one onto the emptiest blade. */
function bestRepair(
  options: BalanceOptions,
  lost: readonly Shortage[],
  done: readonly Step[],
): Step | undefined {
  const { state, movable } = options
  const lostBlades = lost.map(each => each.blade)
  const load = loadsOf(options)
  let best: Repair | undefined
  for (const step of candidates(state, movable, done, lost)) {
    apply(state, step)
    const missing = sum(shortages(state, [...new Set([...lostBlades, step.from, step.to])]))
    const found = { step, missing, load: load(step.to) }
    undo(state, step)
    if (missing > sum(lost) - EPSILON) continue
    if (best === undefined || compareRepairs(state, found, best) < 0) best = found
  }
  return best?.step
}

type Repair = { readonly step: Step; readonly missing: number; readonly load: number }

function compareRepairs(state: State, a: Repair, b: Repair): number {
  if (Math.abs(a.missing - b.missing) > EPSILON) return a.missing - b.missing
  return work(state, a.step) - work(state, b.step) || a.load - b.load
}

function candidates(
  state: State,
  movable: Uint8Array,
  done: readonly Step[],
  lost: readonly Shortage[],
): Step[] {
  const all = openBlades(state)
  const isSmall = all.length <= SMALL_FLEET
  const near = isSmall
    ? undefined
    : new Set(lost.slice(0, WORST_LOSSES).flatMap(each => nearest(state, each)))
  const targets = isSmall ? all : emptiest(state, all)
  const moved = new Set(done.map(step => step.vm))
  const steps: Step[] = []
  for (let vm = 0; vm < state.model.vmCount; vm++) {
    const from = state.at[vm] as number
    if (from === NOWHERE || movable[vm] === 0 || moved.has(vm) || near?.has(from) === false) continue
    for (const to of targets) if (canMove(state, vm, from, to)) steps.push({ vm, from, to })
  }
  return steps
}

/** The lost blade, and those that have nearly room for what it leaves without a place. */
function nearest(state: State, { blade, unplaced }: Shortage): number[] {
  const { dims, need } = state.model
  const [vm] = unplaced
  if (vm === undefined) return [blade]
  const missing = (at: number) =>
    Math.max(0, (need[vm * dims] as number) - (state.free[at * dims] as number)) / (need[vm * dims] || 1)
  const others = openBlades(state).filter(each => each !== blade)
  return [blade, ...others.sort((a, b) => missing(a) - missing(b) || a - b).slice(0, NEAREST_BLADES)]
}

function emptiest({ free, model: { dims } }: State, blades: readonly number[]): number[] {
  return blades
    .toSorted((a, b) => (free[b * dims] as number) - (free[a * dims] as number) || a - b)
    .slice(0, EMPTIEST_BLADES)
}

/** Takes back each step without which as many losses are survived, the costliest first. */
function withoutIdle(state: State, steps: readonly Step[], lost: number): Step[] {
  let kept = [...steps]
  for (const step of steps.toSorted((a, b) => work(state, b) - work(state, a))) {
    const rest = kept.filter(each => each !== step)
    for (const each of kept.toReversed()) undo(state, each)
    const fits = rest.every(each => {
      const ok = canMove(state, each.vm, each.from, each.to)
      apply(state, each)
      return ok
    })
    if (fits && shortages(state, openBlades(state)).length <= lost) {
      kept = rest
      continue
    }
    for (const each of rest.toReversed()) undo(state, each)
    for (const each of kept) apply(state, each)
  }
  return kept
}

function lowerLoads(options: BalanceOptions, before: readonly Step[]): Step[] {
  const { state, mostMoves } = options
  const steps: Step[] = []
  while (before.length + steps.length < mostMoves) {
    const step = bestRelief(options, [...before, ...steps])
    if (step === undefined) break
    apply(state, step)
    steps.push(step)
  }
  return steps
}

/** From the fullest blades the first that a move relieves enough; the move that leaves the lower load on the fuller of the two. */
function bestRelief(options: BalanceOptions, done: readonly Step[]): Step | undefined {
  const { state, movable, leastGain } = options
  const load = loadsOf(options)
  const blades = openBlades(state).sort((a, b) => load(b) - load(a) || a - b)
  const highest = blades[0] === undefined ? 0 : load(blades[0])
  const before = sum(shortages(state, blades))
  const moved = new Set(done.map(step => step.vm))
  const targets = blades.toReversed().slice(0, SMALL_FLEET)
  for (const from of blades.filter(blade => load(blade) > highest - leastGain)) {
    const steps: { step: Step; after: number }[] = []
    for (let vm = 0; vm < state.model.vmCount; vm++) {
      if (state.at[vm] !== from || movable[vm] === 0 || moved.has(vm)) continue
      for (const to of targets) {
        if (!canMove(state, vm, from, to)) continue
        const step = { vm, from, to }
        apply(state, step)
        const after = Math.max(load(from), load(to))
        undo(state, step)
        if (load(from) - after >= leastGain) steps.push({ step, after })
      }
    }
    steps.sort(
      (a, b) => a.after - b.after || work(state, a.step) - work(state, b.step) || a.step.vm - b.step.vm,
    )
    const found = steps.find(({ step }) => missingAfter(state, step) <= before + EPSILON)
    if (found !== undefined) return found.step
  }
  return undefined
}

/** Nothing may be lost that could be survived before. */
function missingAfter(state: State, step: Step): number {
  apply(state, step)
  const missing = sum(shortages(state, openBlades(state)))
  undo(state, step)
  return missing
}

/** Share of its memory that each blade's VMs take, as the state is when it is asked. */
export function loadsOf({ state, memoryBytes }: BalanceOptions): (blade: number) => number {
  const { free, model } = state
  return blade => {
    const all = memoryBytes[blade] as number
    return all <= 0 ? 0 : (all - (free[blade * model.dims] as number)) / all
  }
}

function canMove(state: State, vm: number, from: number, to: number): boolean {
  if (from === to) return false
  state.lift(vm)
  const fits = state.fits(vm, to)
  state.unlift(vm, from)
  return fits
}

function apply(state: State, { vm, to }: Step): void {
  state.lift(vm)
  state.put(vm, to)
}

function undo(state: State, { vm, from, to }: Step): void {
  state.unput(vm, to)
  state.unlift(vm, from)
}

function sum(lost: readonly Shortage[]): number {
  return lost.reduce((so, each) => so + each.amount, 0)
}

function work(state: State, step: Step): number {
  return state.model.work[step.vm] as number
}
