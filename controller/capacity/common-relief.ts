import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { NPlusOne, Relief } from '../placement/plan.ts'
import { reliefFor } from './losses.ts'

/** Losses that are looked into: what helps the worst of them nearly always helps the others. */
const LOOKED_AT = 3

/**
 * What would help, whichever of the blades died that could not be lost: the changes that help each of the worst losses.
 * Where no single one does, those that help the worst. Empty while N+1 is kept.
 */
export function commonRelief(snapshot: FleetSnapshot, { notSurvivable }: NPlusOne): readonly Relief[] {
  const [first, ...others] = notSurvivable
    .toSorted((a, b) => b.vms.length - a.vms.length || (a.blade < b.blade ? -1 : 1))
    .slice(0, LOOKED_AT)
    .map(({ blade }) =>
      reliefFor(
        snapshot.vms.filter(vm => vm.blade === blade),
        [blade],
        snapshot,
      ),
    )
  if (first === undefined) return []
  const common = first.filter(each => others.every(relief => relief.some(other => isSame(each, other))))
  return common.length > 0 ? common : first
}

/** Which blade a new one is like is no matter: one that died itself is not taken for the model. */
function isSame(one: Relief, other: Relief): boolean {
  return one.text === other.text || (one.kind === 'blade' && other.kind === 'blade')
}
