import { NOWHERE, type Step } from '../solver/model.ts'
import { openBlades, type State } from '../solver/state.ts'
import { emptiest, type Shortage } from './shortage.ts'
import { canMove } from './steps.ts'

/** In a larger fleet only the blades nearest to the trouble, and the emptiest, are looked at. */
export const SMALL_FLEET = 16
const NEAREST_BLADES = 6
const EMPTIEST_BLADES = 8
/** Lost blades whose VMs are looked after in one round. */
const WORST_LOSSES = 2

/** Every move that is legal now and may help those blades; no VM twice. */
export function candidates(
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
  const targets = isSmall ? all : emptiest(state, all, EMPTIEST_BLADES)
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
