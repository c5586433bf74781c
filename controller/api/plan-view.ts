import type * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import type { Reason as WireReason } from '../../proto/gen/lifeboat/v1/types.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import { reasonToWire } from '../../shared/wire/convert.ts'
import type {
  BladeLoad,
  BladeScore,
  NPlusOne,
  Plan,
  PlannedMove,
  Relief,
  UnplacedVm,
} from '../placement/plan.ts'
import type { EvacuationRecord } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'

/** A plan with what became of its moves: by its evacuation, or by the one operation of a migration. */
export function planToWire(
  plan: Plan,
  evacuation: EvacuationRecord | undefined,
  operation?: OperationRecord,
): wire.Plan {
  return {
    id: plan.id,
    createdAt: plan.createdAt,
    blade: plan.blade,
    cause: plan.cause,
    snapshotGeneration: plan.snapshotGeneration,
    moves: plan.moves.map(move => moveToWire(move, plan.id, evacuation, operation)),
    unplaced: unplacedToWire(plan.unplaced),
    after: plan.after.map(loadToWire),
    nPlusOne: nPlusOneToWire(plan.nPlusOne),
    expectedEndMs: plan.expectedEndMs,
    relief: plan.relief.map(reliefToWire),
  }
}

function moveToWire(
  move: PlannedMove,
  plan: string,
  evacuation: EvacuationRecord | undefined,
  operation: OperationRecord | undefined,
): wire.Move {
  const carried = evacuation?.moves.find(each => each.vmId === move.vmId && each.plan === plan)
  return {
    vm: move.vm,
    vmId: move.vmId,
    from: move.from,
    to: move.to,
    method: move.method,
    volumeBytes: move.volumeBytes,
    expectedDowntimeMs: move.expectedDowntimeMs,
    expectedEndMs: move.expectedEndMs,
    scores: move.scores.map(scoreToWire),
    rejected: reasonsToWire(move.rejected),
    state: carried?.state ?? (operation === undefined ? 'planned' : moveState(operation)),
    operation: carried?.operation ?? operation?.id ?? '',
    role: move.role,
    needs: [...move.needs],
    memoryBytes: move.memoryBytes,
  }
}

/** How full a blade is. */
export function loadToWire(load: BladeLoad): wire.BladeLoad {
  return { ...load, pools: load.pools.map(pool => ({ ...pool })) }
}

/** VMs without a place, with every reason. */
export function unplacedToWire(unplaced: readonly UnplacedVm[]): wire.Unplaced[] {
  return unplaced.map(({ vm, vmId, reasons }) => ({ vm, vmId, reasons: reasonsToWire(reasons) }))
}

/** One change that would make the plan possible. */
export function reliefToWire(relief: Relief): wire.Relief {
  return { ...relief, blades: [...relief.blades] }
}

function moveState(operation: OperationRecord): string {
  if (operation.endedAt === 0) return 'running'
  return operation.state === 'done' ? 'done' : 'failed'
}

/** How well a VM would sit on a blade, in its parts. */
export function scoreToWire(score: BladeScore): wire.Score {
  return { blade: score.blade, total: score.total, parts: { ...score.parts } }
}

/** Which single blades the fleet could not lose. */
export function nPlusOneToWire(nPlusOne: NPlusOne): wire.NPlusOne {
  const { kept, text, notSurvivable } = nPlusOne
  return { kept, text, notSurvivable: notSurvivable.map(each => each.blade) }
}

/** Refusals and obstacles, in their order. */
export function reasonsToWire(reasons: readonly Reason[]): WireReason[] {
  return reasons.map(reasonToWire)
}
