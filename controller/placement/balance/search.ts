import type { Step } from '../solver/model.ts'
import { openBlades, type State } from '../solver/state.ts'
import { SMALL_FLEET } from './candidates.ts'
import { restoreNPlusOne } from './repair.ts'
import { isPartOf, type Shortage, shortages } from './shortage.ts'
import { apply, type BalanceOptions, canMove, EPSILON, loadsOf, sum, undo, work } from './steps.ts'

/**
 * Moves that restore N+1, as few as it takes; then moves that lower the highest load, by best improvement, each of which
 * can be explained by itself. The state holds them when it returns. Each step fits when its turn comes.
 */
export function searchBalance(options: BalanceOptions): Step[] {
  const steps = restoreNPlusOne(options)
  return [...steps, ...lowerLoads(options, steps)]
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
  const before = shortages(state, blades)
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
    const found = steps.find(({ step }) => costsNoNPlusOne(state, step, before))
    if (found !== undefined) return found.step
  }
  return undefined
}

/** Nothing is lost by it that could be survived before, and for what was lost no more is missing. */
function costsNoNPlusOne(state: State, step: Step, before: readonly Shortage[]): boolean {
  apply(state, step)
  const after = shortages(state, openBlades(state))
  undo(state, step)
  return isPartOf(after, before) && sum(after) <= sum(before) + EPSILON
}
