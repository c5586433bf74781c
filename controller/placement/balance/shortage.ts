import { type LookFor, lookAround, whileLifted } from '../solver/look-around.ts'
import { budgetOf } from '../solver/model.ts'
import { createPacker, isPackable } from '../solver/pack.ts'
import { openBlades, type State, vmsByBlade } from '../solver/state.ts'

/** How much is missing for the loss of a blade to be survived: 0 when nothing is. More VMs without a place weigh most. */
export interface Shortage {
  readonly blade: number
  readonly amount: number
  /** VMs without a place, as it looked. */
  readonly unplaced: readonly number[]
}

/** For a loss that the easy looks do not answer. */
const SEARCH_MS = 5

/** In a large fleet the VMs of one blade nearly always fit on these. */
const FIRST_ASKED = 12

/** What is missing for each blade that could not be lost, the worst first. The state is as before. */
export function shortages(state: State, among: readonly number[]): Shortage[] {
  const byBlade = vmsByBlade(state)
  const open = openBlades(state)
  const few = open.length <= FIRST_ASKED ? open : emptiest(state, open, FIRST_ASKED)
  return among
    .flatMap(blade => shortageOf(state, blade, byBlade.get(blade) ?? [], { open, few }) ?? [])
    .sort((a, b) => b.amount - a.amount || a.blade - b.blade)
}

/** Those with the most memory left, the emptiest first. */
export function emptiest(
  { free, model: { dims } }: State,
  blades: readonly number[],
  count: number,
): number[] {
  return blades
    .toSorted((a, b) => (free[b * dims] as number) - (free[a * dims] as number) || a - b)
    .slice(0, count)
}

/** No blade is lost that was not. */
export function isPartOf(lost: readonly Shortage[], before: readonly Shortage[]): boolean {
  return lost.every(({ blade }) => before.some(each => each.blade === blade))
}

interface Onto {
  readonly open: readonly number[]
  readonly few: readonly number[]
}

function shortageOf(
  state: State,
  blade: number,
  vms: readonly number[],
  { open, few }: Onto,
): Shortage | undefined {
  if (vms.length === 0) return undefined
  const { need, dims } = state.model
  const items = [...vms].sort((a, b) => (need[b * dims] as number) - (need[a * dims] as number) || a - b)
  const was = state.open[blade] as number
  state.open[blade] = 0
  const found = whileLifted(state, items, () => {
    const first = missing(state, items, few, 'emptiest')
    if (first.amount === 0) return undefined
    const looks = [first, missing(state, items, open, 'emptiest'), missing(state, items, open, 'fullest')]
    const best = looks.reduce((a, b) => (b.amount < a.amount ? b : a))
    const kept = best.amount === 0 || isPackable(state, createPacker(state), items, budgetOf(SEARCH_MS))
    return kept ? undefined : { blade, ...best }
  })
  state.open[blade] = was
  return found
}

function missing(
  state: State,
  items: readonly number[],
  onto: readonly number[],
  lookFor: LookFor,
): Omit<Shortage, 'blade'> {
  const unplaced: number[] = []
  let amount = 0
  lookAround(state, items, onto, lookFor, vm => {
    unplaced.push(vm)
    amount += 1 + leastMissing(state, vm)
  })
  return { amount, unplaced }
}

/** Over all blades the least share of what the VM needs that is not there, added up over the dimensions. */
function leastMissing({ model, free, open }: State, vm: number): number {
  const { dims, need, bladeCount } = model
  let least = dims
  for (let blade = 0; blade < bladeCount; blade++) {
    if (open[blade] === 0 || !model.allows(vm, blade)) continue
    let missing = 0
    for (let dim = 0; dim < dims; dim++) {
      const wanted = need[vm * dims + dim] as number
      if (wanted > 0)
        missing += Math.max(0, wanted - Math.max(0, free[blade * dims + dim] as number)) / wanted
    }
    least = Math.min(least, missing)
  }
  return least
}
