import type * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { planRebalance, type Rebalance } from '../placement/balance/rebalance.ts'
import { type EvacuationRecord, wordsOf } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { operationToWire } from './operation-view.ts'
import { nPlusOneToWire, planToWire } from './plan-view.ts'

/** More moves than these within one cooldown are not looked through. */
const MOVES_SEEN = 5_000

/** Only ever because a person asks: nothing in the controller rebalances by itself. */
export function rebalanceHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'planRebalance' | 'applyRebalance'> {
  const { store, fleet, clock, config, evacuations } = context
  const planFor = (snapshot: FleetSnapshot, head: { id: string; now: number }, requestedBy: string) =>
    planRebalance(snapshot, {
      ...head,
      movedAt: movedAt(store.operations.done('move', MOVES_SEEN)),
      cooldownMs: config.placement.rebalanceCooldownMs,
      requestedBy,
      limits: config.evacuation,
    })
  return {
    /** Moves nothing, stores nothing. */
    planRebalance: (_, caller) => {
      const now = clock.now()
      return toWire(planFor(fleet.snapshot(now), { id: '', now }, caller))
    },
    applyRebalance: (_, caller) => {
      refuseOthers(store.evacuations.active())
      const now = clock.now()
      let made = planFor(fleet.snapshot(now), { id: '', now }, caller)
      if (made.plan.moves.length === 0) return toWire(made)
      const begun = evacuations.beginPlan(
        { blade: '', cause: made.plan.cause, caseKey: '', caseId: '', requestedBy: caller },
        (snapshot, head) => {
          made = planFor(snapshot, head, caller)
          return made.plan
        },
      )
      context.nudge()
      const plan = planToWire(begun.plan, store.evacuations.get(begun.operation.id))
      return { ...toWire(made), plan, operation: operationToWire(context, begun.operation) }
    },
  }
}

/** A blade that is emptied needs the room, and both plans would stand in each other's way. */
function refuseOthers(active: readonly EvacuationRecord[]): void {
  const [under] = active
  if (under === undefined) return
  throw new LifeboatError('busy', `${wordsOf(under)}; lifeboat operation watch ${under.operation}`)
}

/** When each VM arrived by its last move. */
function movedAt(newestFirst: readonly OperationRecord[]): ReadonlyMap<string, number> {
  return new Map(newestFirst.toReversed().map(move => [move.vmId, move.endedAt]))
}

function toWire(made: Rebalance): wire.Rebalance {
  return {
    plan: planToWire(made.plan, undefined),
    text: made.text,
    nPlusOneBefore: nPlusOneToWire(made.before),
    highestLoadBefore: made.highestLoadBefore,
    highestLoadAfter: made.highestLoadAfter,
    leftAlone: [...made.leftAlone],
    operation: undefined,
  }
}
