import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { EvacuationMove, EvacuationRecord } from '../store/evacuations.ts'

/**
 * False for a VM that was to step aside, and those it was to make room for went another way meanwhile: it has no reason
 * to move any more. Pure.
 */
export function isOfUse(
  evacuation: Pick<EvacuationRecord, 'moves'>,
  move: EvacuationMove,
  snapshot: Pick<FleetSnapshot, 'vms'>,
): boolean {
  if (move.role !== 'makes-room') return true
  const behind = evacuation.moves.filter(each => each.needs.includes(move.vmId))
  // Nobody ever waited for it: it goes along with others that it is kept together with.
  if (behind.length === 0) return true
  const isThere = ({ vmId, from }: EvacuationMove) =>
    snapshot.vms.some(vm => vm.id === vmId && vm.blade === from)
  return behind.some(
    each =>
      each.state === 'running' ||
      (each.state === 'planned' && isThere(each) && isOfUse(evacuation, each, snapshot)),
  )
}
