import { methodOf } from './movable.ts'
import { type Placed, type Placement, type PlaceOptions, rank } from './place.ts'
import type { MoveRole } from './plan.ts'
import { afterMove, type Rooms } from './room.ts'
import type { Compiled } from './solver/compile.ts'
import type { Solution } from './solver/solve.ts'

export interface StepsToExplain extends Pick<Solution, 'steps' | 'needs'> {
  readonly purpose: NonNullable<PlaceOptions['purpose']>
  /** Ids of VMs that come along by the same plan: see Candidate. Each leaves it when its turn comes. */
  readonly company: ReadonlySet<string>
  readonly roleOf: (vmId: string) => MoveRole
}

/**
 * Steps of the solver as moves that a plan shows. Each is asked of the gate once more, in its turn; behind one that is
 * refused nothing is planned.
 */
export function explainSteps(
  { vms, nameOf }: Compiled,
  { steps, needs, purpose, company, roleOf }: StepsToExplain,
  rooms: Rooms,
): Placed {
  const moving = steps.flatMap(step => vms[step.vm] ?? [])
  const coming = new Set(company)
  const placements: Placement[] = []
  let current = rooms
  for (const [index, vm] of moving.entries()) {
    const to = nameOf(steps[index]?.to ?? -1)
    const method = purpose === 'restore' ? 'recover' : methodOf(vm)
    coming.delete(vm.id)
    const { scores, rejected } = rank(vm, current, coming, { purpose, also: to, now: rooms })
    if (method === undefined || !scores.some(score => score.blade === to)) break
    const before = (needs[index] ?? []).flatMap(each => moving[each]?.id ?? [])
    placements.push({ vm, role: roleOf(vm.id), needs: before, to, method, scores, rejected })
    current = afterMove(current, vm, to)
  }
  return { placements, unplaced: [], rooms: current }
}
