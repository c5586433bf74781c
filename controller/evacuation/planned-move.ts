import type { PlannedMove } from '../placement/plan.ts'
import type { EvacuationMove } from '../store/evacuations.ts'

/** A move of the plan of that id, as the evacuation keeps it: `seq` is its name there. Nothing of it has begun. */
export function toMove(move: PlannedMove, seq: number, plan: string): EvacuationMove {
  const { vmId, vm, from, to, method, role, needs, memoryBytes, volumeBytes } = move
  return {
    seq,
    plan,
    vmId,
    vm,
    from,
    to,
    method,
    role,
    needs,
    memoryBytes,
    volumeBytes,
    state: 'planned',
    operation: '',
    error: '',
  }
}
