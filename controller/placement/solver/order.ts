import { type Model, NOWHERE, type Step } from './model.ts'
import { createState, type State } from './state.ts'

/** More moves than these are ordered without going back: a choice of so many that fits is nearly always there. */
const SEARCHED_MOVES = 30

/**
 * An order of moves in which each of them fits when its turn comes, or undefined: swaps in a fleet without room have
 * none. No VM moves twice, so what is left to do depends only on which moves are done: that is all the search remembers.
 * `steps` come in the order in which they would best be done, and are taken in it where that is legal.
 */
export function legalOrder(model: Model, steps: readonly Step[]): readonly Step[] | undefined {
  const state = createState(model)
  const order: Step[] = []
  const dead = new Set<number>()
  const go = (done: number): boolean => {
    if (order.length === steps.length) return true
    if (dead.has(done)) return false
    for (const [index, step] of steps.entries()) {
      if (order.includes(step) || !tryStep(state, step)) continue
      order.push(step)
      if (go(steps.length <= SEARCHED_MOVES ? done | (1 << index) : done)) return true
      if (steps.length > SEARCHED_MOVES) return false
      order.pop()
      undoStep(state, step)
    }
    dead.add(done)
    return false
  }
  return go(0) ? order : undefined
}

/** While it moves a VM is at both ends: its own room at the source comes back when it has arrived. */
function tryStep(state: State, { vm, from, to }: Step): boolean {
  if (from !== NOWHERE) state.lift(vm)
  const fits = state.fitsForNow(vm, to)
  if (fits) state.put(vm, to)
  else if (from !== NOWHERE) state.unlift(vm, from)
  return fits
}

function undoStep(state: State, { vm, from, to }: Step): void {
  state.unput(vm, to)
  if (from !== NOWHERE) state.unlift(vm, from)
}

/**
 * For each move of a legal order: the earlier ones that must be done before it may start. Any interleaving that keeps to
 * them is legal. An arrival needs departures of its target until the room holds it beside all earlier arrivals there, and
 * whatever those need: so no later one can take what an earlier one waits for. Rules of groups and names: it needs all
 * earlier departures of the VMs that would be in its way.
 */
export function needsOf(model: Model, order: readonly Step[]): number[][] {
  const { dims } = model
  const needs = order.map(() => [] as number[])
  const takenAt = new Map<number, Float64Array>()
  const lastAt = new Map<number, number>()
  for (const [index, step] of order.entries()) {
    const taken = takenAt.get(step.to) ?? new Float64Array(dims)
    takenAt.set(step.to, taken)
    for (let dim = 0; dim < dims; dim++)
      taken[dim] = (taken[dim] as number) + (model.need[step.vm * dims + dim] as number)
    const before = lastAt.get(step.to)
    const own = new Set(before === undefined ? [] : needs[before])
    lastAt.set(step.to, index)
    for (const [earlier, other] of order.slice(0, index).entries()) {
      if (other.from === NOWHERE || other.vm === step.vm) continue
      if (conflicts(model, step, other)) own.add(earlier)
    }
    for (const [earlier, other] of order.slice(0, index).entries()) {
      if (enough(model, step.to, taken, order, own)) break
      if (other.from === step.to) own.add(earlier)
    }
    needs[index] = [...own].sort((a, b) => a - b)
  }
  return needs
}

/** Where the other one was, it kept this one out. */
function conflicts(model: Model, step: Step, other: Step): boolean {
  const sets = model.apartOf[step.vm] as readonly number[]
  const shared = sets.filter(set => (model.apartOf[other.vm] as readonly number[]).includes(set))
  return shared.some(set => {
    const { domainOf } = model.apart[set] as Model['apart'][number]
    return domainOf[step.to] === domainOf[other.from]
  })
}

function enough(
  model: Model,
  blade: number,
  taken: Float64Array,
  order: readonly Step[],
  departed: ReadonlySet<number>,
): boolean {
  const { dims } = model
  for (let dim = 0; dim < dims; dim++) {
    if ((taken[dim] as number) === 0) continue
    let room = model.free[blade * dims + dim] as number
    for (const index of departed) {
      const step = order[index] as Step
      if (step.from === blade) room += model.gives[step.vm * dims + dim] as number
    }
    if ((taken[dim] as number) > room) return false
  }
  return true
}
