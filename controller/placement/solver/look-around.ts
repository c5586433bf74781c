import { NOWHERE } from './model.ts'
import type { State } from './state.ts'

/** Each onto the blade that has the most memory left then, or NOWHERE; in their order. The state is as before. */
export function lookAround(
  state: State,
  items: readonly number[],
  onto: readonly number[],
): readonly number[] {
  const homes = items.map(item => state.at[item] as number)
  const { dims } = state.model
  for (const item of items) state.lift(item)
  const found = items.map(item => {
    let best = NOWHERE
    for (const blade of onto) {
      if (!state.fits(item, blade)) continue
      if (best === NOWHERE || (state.free[blade * dims] as number) > (state.free[best * dims] as number))
        best = blade
    }
    if (best !== NOWHERE) state.put(item, best)
    return best
  })
  for (const [index, blade] of found.entries())
    if (blade !== NOWHERE) state.unput(items[index] as number, blade)
  for (const [index, item] of items.entries()) state.unlift(item, homes[index] as number)
  return found
}
