import type * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { withPlanned } from '../evacuation/plan-around.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { planRebalance, type Rebalance, rebalanceCause } from '../placement/balance/rebalance.ts'
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
      const plan = (view: FleetSnapshot) => planFor(view, { id: '', now }, caller)
      return toWire(plan(withPlanned(fleet.snapshot(now), store.evacuations.active())))
    },
    applyRebalance: (_, caller) => {
      refuseOthers(store.evacuations.active())
      const made: Rebalance[] = []
      const request = { ...NO_BLADE, cause: rebalanceCause(caller), requestedBy: caller }
      const begun = unlessIdle(() =>
        evacuations.beginPlan(request, (snapshot, head) => {
          const planned = planFor(snapshot, head, caller)
          made.push(planned)
          if (planned.plan.moves.length === 0) throw NOTHING_TO_MOVE
          return planned.plan
        }),
      )
      const [answer] = made.map(toWire)
      if (answer === undefined) throw new LifeboatError('internal', 'no plan was made')
      if (begun === undefined) return { ...answer, plan: answer.plan && { ...answer.plan, id: '' } }
      context.nudge()
      return {
        ...answer,
        plan: planToWire(begun.plan, store.evacuations.get(begun.operation.id)),
        operation: operationToWire(context, begun.operation),
      }
    },
  }
}

const NO_BLADE = { blade: '', caseKey: '', caseId: '' }

/** Thrown out of the transaction that would have stored an empty plan. */
const NOTHING_TO_MOVE = new Error('no move is worth it')

function unlessIdle<Begun>(begin: () => Begun): Begun | undefined {
  try {
    return begin()
  } catch (error) {
    if (error === NOTHING_TO_MOVE) return undefined
    throw error
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
