import type { Step } from '../solver/model.ts'
import { openBlades, type State } from '../solver/state.ts'
import { candidates, SMALL_FLEET } from './candidates.ts'
import { isPartOf, type Shortage, shortages } from './shortage.ts'
import { apply, type BalanceOptions, canMove, EPSILON, loadsOf, sum, undo, work } from './steps.ts'

/** So many of the best beginnings are followed at once: the first of two moves may help nothing by itself. */
const WIDTH = 12
const WIDTH_IN_LARGE_FLEETS = 3
/** More moves than these for N+1 alone are a reshuffle. */
const MOST_REPAIRS = 6
/** About a second's work in a fleet of ten blades; counted, so that the answer is the same everywhere. */
const MOST_LOOKS = 12_000

/** Some moves, and what is missing after them. */
interface Path {
  readonly steps: readonly Step[]
  readonly lost: readonly Shortage[]
}

/** A path and one move more. */
interface Look {
  readonly path: Path
  readonly step: Step
  readonly lostBlades: number
  readonly missing: number
  readonly work: number
  /** Of the blade it moves to. */
  readonly load: number
}

/**
 * The fewest moves after which the fewest blades could not be lost; of as many, the cheapest. Level by level, the best
 * beginnings of each: with all of them it would be a proof, and take hours. The state holds the moves when it returns.
 */
export function restoreNPlusOne(options: BalanceOptions): Step[] {
  const { state } = options
  const start: Path = { steps: [], lost: shortages(state, openBlades(state)) }
  let best = start
  let level = [start]
  let looks = MOST_LOOKS
  for (let depth = 0; depth < Math.min(options.mostMoves, MOST_REPAIRS) && best.lost.length > 0; depth++) {
    const seen: Look[] = []
    for (const path of level) {
      const found = looksFrom(options, path, looks)
      looks -= found.length
      seen.push(...found)
    }
    level = followed(state, seen)
    const found = level.find(path => isPartOf(path.lost, start.lost))
    if (found !== undefined && found.lost.length < best.lost.length) best = found
    if (level.length === 0 || looks <= 0) break
  }
  for (const step of best.steps) apply(state, step)
  return withoutIdle(state, best)
}

function looksFrom(options: BalanceOptions, path: Path, most: number): Look[] {
  const { state, movable } = options
  for (const step of path.steps) apply(state, step)
  const all = openBlades(state)
  const load = loadsOf(options)
  const before = path.steps.reduce((so, step) => so + work(state, step), 0)
  const looks: Look[] = []
  for (const step of candidates(state, movable, path.steps, path.lost)) {
    if (looks.length >= most) break
    const touched = [...path.lost.map(each => each.blade), step.from, step.to]
    apply(state, step)
    const lost = shortages(state, all.length <= SMALL_FLEET ? all : [...new Set(touched)])
    looks.push({
      path,
      step,
      lostBlades: lost.length,
      missing: sum(lost),
      work: before + work(state, step),
      load: load(step.to),
    })
    undo(state, step)
  }
  for (const step of path.steps.toReversed()) undo(state, step)
  return looks
}

/** The best, each set of moves once, whatever their order; with what is lost after them all over the fleet. */
function followed(state: State, looks: Look[]): Path[] {
  looks.sort(compareLooks)
  const width = openBlades(state).length <= SMALL_FLEET ? WIDTH : WIDTH_IN_LARGE_FLEETS
  const paths = new Map<string, Path>()
  for (const { path, step } of looks) {
    const steps = [...path.steps, step]
    const key = steps
      .map(({ vm, to }) => `${vm} ${to}`)
      .sort()
      .join()
    if (paths.has(key)) continue
    for (const each of steps) apply(state, each)
    paths.set(key, { steps, lost: shortages(state, openBlades(state)) })
    for (const each of steps.toReversed()) undo(state, each)
    if (paths.size === width) break
  }
  return [...paths.values()].sort((a, b) => a.lost.length - b.lost.length)
}

function compareLooks(a: Look, b: Look): number {
  if (a.lostBlades === 0 || b.lostBlades === 0) {
    if (a.lostBlades !== b.lostBlades) return a.lostBlades - b.lostBlades
  } else if (Math.abs(a.missing - b.missing) > EPSILON) return a.missing - b.missing
  return a.work - b.work || a.load - b.load || a.step.vm - b.step.vm || a.step.to - b.step.to
}

/** Takes back each step without which as many losses are survived, the costliest first. */
function withoutIdle(state: State, { steps, lost }: Path): Step[] {
  let kept = [...steps]
  for (const step of steps.toSorted((a, b) => work(state, b) - work(state, a))) {
    const rest = kept.filter(each => each !== step)
    for (const each of kept.toReversed()) undo(state, each)
    const fits = rest.every(each => {
      const ok = canMove(state, each.vm, each.from, each.to)
      apply(state, each)
      return ok
    })
    if (fits && isPartOf(shortages(state, openBlades(state)), lost)) {
      kept = rest
      continue
    }
    for (const each of rest.toReversed()) undo(state, each)
    for (const each of kept) apply(state, each)
  }
  return kept
}
