import { whileLifted } from './look-around.ts'
import type { Budget } from './model.ts'
import { createPacker, isPackable, type Packer } from './pack.ts'
import { openBlades, type State, vmsByBlade } from './state.ts'

/** The emptiest blades are asked first: in a large fleet the VMs of one blade nearly always fit on these. */
const FIRST_ASKED = 24

/** What a question costs beside its search, in steps. */
const STEPS_PER_QUESTION = 500

/**
 * Asks of the fleet, as the state has it when asked: could it lose any one of its open blades and have a place for every
 * VM of it on the others? Out of budget counts as no. The state is as before. Made once for many questions.
 */
export function createLossCheck(state: State): (budget: Budget) => boolean {
  const { open } = state
  const packers = new Map<number, Packer>()
  const packerOf = (lost: number): Packer => {
    const known = packers.get(lost)
    if (known !== undefined) return known
    const packer = createPacker(state)
    packers.set(lost, packer)
    return packer
  }

  const survives = (lost: number, vms: readonly number[], blades: readonly number[], budget: Budget) => {
    const before = open.slice()
    const ask = (asked: readonly number[]): boolean => {
      open.fill(0)
      for (const blade of asked) if (blade !== lost) open[blade] = 1
      // In a small fleet those that are asked are always the same ones.
      const packer = asked.length === blades.length ? packerOf(lost) : createPacker(state)
      budget.left -= STEPS_PER_QUESTION
      return isPackable(state, packer, vms, budget)
    }
    const few = blades.slice(0, FIRST_ASKED + 1)
    const kept = whileLifted(state, vms, () => ask(few) || (few.length < blades.length && ask(blades)))
    open.set(before)
    return kept
  }

  return budget => {
    if (!hasRoomForLargest(state)) return false
    const emptiest = bladesByRoom(state)
    for (const [blade, vms] of vmsByBlade(state))
      if (open[blade] === 1 && !survives(blade, vms, emptiest, budget)) return false
    return true
  }
}

/** Without it no arrangement could do: in each dimension, all free room together holds what the fullest blade may hold. */
function hasRoomForLargest({ model, free, at, open }: State): boolean {
  const { dims, gives, bladeCount } = model
  const loads = new Float64Array(bladeCount * dims)
  for (let vm = 0; vm < model.vmCount; vm++) {
    const row = (at[vm] as number) * dims
    if (row < 0) continue
    for (let dim = 0; dim < dims; dim++) add(loads, row + dim, gives[vm * dims + dim] as number)
  }
  for (let dim = 0; dim < dims; dim++) {
    let total = 0
    let largest = 0
    for (let blade = 0; blade < bladeCount; blade++) {
      if (open[blade] === 0) continue
      const room = Math.max(0, free[blade * dims + dim] as number)
      const load = loads[blade * dims + dim] as number
      total += room
      if (load > 0) largest = Math.max(largest, load + room)
    }
    if (total < largest) return false
  }
  return true
}

/** The open ones, the emptiest first. */
function bladesByRoom(state: State): readonly number[] {
  const { free, open } = state
  const { dims, bladeCount } = state.model
  const share = new Float64Array(bladeCount)
  for (let dim = 0; dim < dims; dim++) {
    let total = 0
    for (let blade = 0; blade < bladeCount; blade++)
      if (open[blade] === 1) total += Math.max(0, free[blade * dims + dim] as number)
    if (total === 0) continue
    for (let blade = 0; blade < bladeCount; blade++)
      add(share, blade, Math.max(0, free[blade * dims + dim] as number) / total)
  }
  return openBlades(state).sort((a, b) => (share[b] as number) - (share[a] as number) || a - b)
}

function add(row: Float64Array, index: number, value: number): void {
  row[index] = (row[index] as number) + value
}
