import { createDeadEnds } from './dead-ends.ts'
import type { Budget } from './model.ts'
import { createSignature } from './signature.ts'
import { openBlades, type State } from './state.ts'

/** `spread`: the emptiest blade first, for an even load. `tight`: the fullest that fits, so that large ones still do. */
export type Preference = 'spread' | 'tight'

export interface PackOptions {
  readonly preference: Preference
  /** Gives up after so many steps: the answer is then 'unknown'. */
  readonly budget: Budget
  /** Called with every placement found, the VMs being where `state.at` says. False: look for another one. */
  readonly accept: () => boolean
}

/** `found`: one was accepted, and the state holds it. Otherwise the state is as it was before. */
export type Packed = 'found' | 'none' | 'unknown'

/** Over the blades that were open when it was made. */
export type Packer = (items: readonly number[], options: PackOptions) => Packed

/** What asking about a placement costs, in steps. */
const STEPS_PER_ANSWER = 200
/** With more blades than these there is room enough, or nothing a bound would show. */
const BOUND_BLADES = 64

/** Whether they all have a place, as far as the budget goes. The state is as before. */
export function isPackable(state: State, pack: Packer, lifted: readonly number[], budget: Budget): boolean {
  if (pack(lifted, { preference: 'tight', budget, accept: () => true }) !== 'found') return false
  for (const vm of lifted) state.unput(vm, state.at[vm] as number)
  return true
}

/**
 * A place for each lifted VM, if there is one at all: complete search, the VM with the fewest blades left first. What
 * keeps it short: a VM without a blade ends a branch at once, and so does a dimension in which the room that is still
 * of use is less than what is wanted; blades that are alike are tried once; a situation that led nowhere is known when
 * it comes back.
 */
export function createPacker(state: State): Packer {
  const { model, free, scarce } = state
  const { dims, need } = model
  const blades = Int32Array.from(openBlades(state))
  const weights = scarcity(state, blades)
  const small = blades.length <= BOUND_BLADES
  const signature = createSignature(state, blades)
  const scores = new Float64Array(model.bladeCount)
  const rows: Int32Array[] = []
  const rowOf = (depth: number): Int32Array => {
    rows[depth] ??= new Int32Array(blades.length)
    return rows[depth]
  }

  const weightOf = (vm: number): number => {
    let sum = 0
    for (let dim = 0; dim < dims; dim++) sum += (need[vm * dims + dim] as number) * (weights[dim] as number)
    return sum
  }

  /** Blades for the VM, the preferred one first; of blades that are alike only one. Returns how many. */
  const rank = (vm: number, row: Int32Array, preference: Preference): number => {
    const sign = preference === 'tight' ? 1 : -1
    let count = 0
    for (const blade of blades) {
      if (!state.fits(vm, blade)) continue
      let left = 0
      for (const dim of scarce)
        left +=
          ((free[blade * dims + dim] as number) - (need[vm * dims + dim] as number)) *
          (weights[dim] as number)
      scores[blade] = sign * left
      insertSorted(row, count++, blade, scores)
    }
    let kept = 0
    for (let index = 0; index < count; index++) {
      const blade = row[index] as number
      if (kept === 0 || !signature.alike(row[kept - 1] as number, blade)) row[kept++] = blade
    }
    return kept
  }

  // One search at a time: what belongs to it is made once, for there are half a million small ones in a large one.
  const pending = new Int32Array(model.vmCount)
  const dead = createDeadEnds()
  let now: PackOptions = { preference: 'tight', budget: { left: 0 }, accept: () => true }
  let total = 0
  let gaveUp = false
  /** Placements that were found and not accepted. */
  let refused = 0

  /** Index of the pending VM with the fewest blades, of those the heaviest; -1: one of them has none. */
  const choose = (count: number, budget: Budget): number => {
    let best = -1
    let bestFits = Number.POSITIVE_INFINITY
    let bestWeight = -1
    for (let index = 0; index < count; index++) {
      const vm = pending[index] as number
      let fits = 0
      let each = 0
      for (; each < blades.length && fits <= bestFits; each++)
        if (state.fits(vm, blades[each] as number)) fits++
      budget.left -= each
      if (fits === 0) return -1
      if (fits > bestFits) continue
      const weight = weightOf(vm)
      if (fits === bestFits && weight <= bestWeight) continue
      best = index
      bestFits = fits
      bestWeight = weight
    }
    return best
  }

  const descend = (count: number): boolean => {
    if (count === 0) {
      now.budget.left -= STEPS_PER_ANSWER
      if (now.accept()) return true
      refused++
      return false
    }
    if (now.budget.left <= 0) {
      gaveUp = true
      return false
    }
    // The first situation of a search was never there before, and is the only one of most searches.
    const key = small && count < total ? signature.of(pending, count) : 0
    now.budget.left -= blades.length
    if (key !== 0 && dead.has(key)) return false
    if (small && tooLittle(state, pending, count, blades)) return false
    const refusedBefore = refused
    const chosen = choose(count, now.budget)
    if (chosen < 0) return false
    if (branch(chosen, count)) return true
    // Where a placement was refused, it was for the whole of it: the same end may do after another beginning.
    if (key !== 0 && !gaveUp && refused === refusedBefore) dead.add(key)
    return false
  }

  const branch = (chosen: number, count: number): boolean => {
    const vm = pending[chosen] as number
    pending[chosen] = pending[count - 1] as number
    const row = rowOf(count)
    const candidates = rank(vm, row, now.preference)
    now.budget.left -= blades.length
    for (let index = 0; index < candidates && !gaveUp; index++) {
      const blade = row[index] as number
      state.put(vm, blade)
      if (descend(count - 1)) return true
      state.unput(vm, blade)
    }
    pending[count - 1] = vm
    return false
  }

  return (items, options) => {
    now = options
    total = items.length
    gaveUp = false
    for (let index = 0; index < total; index++) pending[index] = items[index] as number
    dead.clear()
    signature.begin(items)
    if (descend(total)) return 'found'
    return gaveUp ? 'unknown' : 'none'
  }
}

/** The weight of a dimension: what is short in all counts more. */
function scarcity({ model: { dims }, free }: State, blades: Int32Array): Float64Array {
  const weights = new Float64Array(dims)
  for (let dim = 0; dim < dims; dim++) {
    let sum = 0
    for (const blade of blades) sum += Math.max(0, free[blade * dims + dim] as number)
    weights[dim] = sum > 0 ? 1 / sum : 0
  }
  return weights
}

/** Keeps the first `count + 1` of the row sorted by score, then by number. Rows are short, or already in order. */
function insertSorted(row: Int32Array, count: number, blade: number, scores: Float64Array): void {
  const score = scores[blade] as number
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if ((scores[row[middle] as number] as number) <= score) low = middle + 1
    else high = middle
  }
  row.copyWithin(low + 1, low, count)
  row[low] = blade
}

/** In some dimension the blades that could still take the smallest VM have less room together than all VMs want. */
function tooLittle(
  { model: { need, dims }, free, scarce }: State,
  pending: Int32Array,
  count: number,
  blades: Int32Array,
): boolean {
  for (const dim of scarce) {
    let wanted = 0
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < count; index++) {
      const own = need[(pending[index] as number) * dims + dim] as number
      if (own <= 0) continue
      wanted += own
      if (own < least) least = own
    }
    let useful = 0
    for (let each = 0; each < blades.length && useful < wanted; each++) {
      const room = free[(blades[each] as number) * dims + dim] as number
      if (room >= least) useful += room
    }
    if (useful < wanted) return true
  }
  return false
}
