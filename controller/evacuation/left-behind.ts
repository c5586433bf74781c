import type { Unplaced } from '../../shared/domain/unplaced-words.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { isWanted } from '../placement/movable.ts'
import type { Plan } from '../placement/plan.ts'
import type { EvacuationRecord } from '../store/evacuations.ts'

/** A VM that an evacuation had to do with, and why it did not leave, if it did not. */
export interface MeantVm extends Unplaced {
  readonly vmId: string
  /** `wanted`: it stays because the administrator wants it so, which is no failure. */
  readonly state: 'done' | 'not-moved' | 'wanted'
}

/** Every VM of it: of those that moved, or were to, the last try counts. */
export function meantVms({ moves }: EvacuationRecord, plan: Plan | undefined): MeantVm[] {
  const last = new Map(moves.map(move => [move.vmId, move]))
  return [
    ...[...last.values()].map(
      ({ vm, vmId, state, error }): MeantVm => ({
        vm,
        vmId,
        reasons: [{ code: '', text: error }],
        state: state === 'done' ? 'done' : 'not-moved',
      }),
    ),
    ...(plan?.unplaced ?? []).map(
      ({ vm, vmId, reasons }): MeantVm => ({
        vm,
        vmId,
        reasons,
        state: reasons.every(isWanted) ? 'wanted' : 'not-moved',
      }),
    ),
  ]
}

/** Those of them that did not move, and are on its blade in that snapshot. */
export function stillThere(
  evacuation: EvacuationRecord,
  plan: Plan | undefined,
  { vms }: FleetSnapshot,
): MeantVm[] {
  const here = new Set(vms.filter(vm => vm.blade === evacuation.blade).map(vm => vm.id))
  return meantVms(evacuation, plan).filter(each => each.state !== 'done' && here.has(each.vmId))
}

/**
 * Nobody has to look any more at what it left: those VMs are gone from the blade, or the blade is one again on which any
 * VM may be. One that does not report is neither: what was there may be there still.
 */
export function isBygone(
  evacuation: EvacuationRecord,
  plan: Plan | undefined,
  snapshot: FleetSnapshot,
): boolean {
  const blade = snapshot.blades.find(each => each.name === evacuation.blade)
  if (blade?.admin === 'in-service' && blade.health === 'healthy' && blade.liveness === 'up') return true
  return !stillThere(evacuation, plan, snapshot).some(each => each.state === 'not-moved')
}
