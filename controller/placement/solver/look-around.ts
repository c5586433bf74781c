import { NOWHERE } from './model.ts'
import type { State } from './state.ts'

/** By the memory that is left then. */
export type LookFor = 'emptiest' | 'fullest'

/**
 * The easy look: each of these lifted VMs in turn onto the emptiest blade that takes it then (or the fullest), NOWHERE
 * where none does. `onNowhere` hears of such a one while those before it are in their places. The state is as before.
 */
export function lookAround(
  state: State,
  lifted: readonly number[],
  onto: readonly number[],
  lookFor: LookFor = 'emptiest',
  onNowhere: (vm: number) => void = () => {},
): readonly number[] {
  const { free } = state
  const { dims } = state.model
  const sign = lookFor === 'fullest' ? -1 : 1
  const found = lifted.map(vm => {
    let best = NOWHERE
    let most = Number.NEGATIVE_INFINITY
    for (const blade of onto) {
      const left = sign * (free[blade * dims] as number)
      if (left <= most || !state.fits(vm, blade)) continue
      best = blade
      most = left
    }
    if (best === NOWHERE) onNowhere(vm)
    else state.put(vm, best)
    return best
  })
  for (const [index, blade] of found.entries())
    if (blade !== NOWHERE) state.unput(lifted[index] as number, blade)
  return found
}

/** What is to be said of the fleet while these VMs are on no blade. Afterwards they are where they were. */
export function whileLifted<Answer>(state: State, vms: readonly number[], ask: () => Answer): Answer {
  const homes = vms.map(vm => state.at[vm] as number)
  for (const vm of vms) state.lift(vm)
  const answer = ask()
  for (const [index, vm] of vms.entries()) state.unlift(vm, homes[index] as number)
  return answer
}
