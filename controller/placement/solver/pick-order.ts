import type { Step } from './model.ts'
import { legalOrder } from './order.ts'
import type { State } from './state.ts'

/**
 * Takes the placements of these VMs as a search finds them. Kept is a preferred one, which ends the search, else the
 * first that has a legal order of moves.
 */
export function createPick(state: State, vms: readonly number[], prefer: () => boolean) {
  const { model } = state
  let best: readonly Step[] | undefined
  return {
    best: () => best,
    /** See PackOptions.accept. */
    accept: (): boolean => {
      const steps = vms.map(vm => ({ vm, from: model.at[vm] as number, to: state.at[vm] as number }))
      const order = legalOrder(model, steps)
      if (order === undefined) return false
      const preferred = prefer()
      if (preferred || best === undefined) best = order
      return preferred
    },
  }
}
