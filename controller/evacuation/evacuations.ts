import type { Operations } from '../operations/operations.ts'
import type { OperationServices } from '../operations/services.ts'
import type { Plan } from '../placement/plan.ts'
import { type EvacuationRecord, isAutomatic } from '../store/evacuations.ts'
import {
  type Begun,
  createBeginning,
  type EvacuationLimits,
  type NewEvacuation,
  type NewPlan,
  type PlanMaker,
} from './begin-evacuation.ts'
import type { Brake } from './brakes.ts'
import { createEnding } from './end-evacuation.ts'
import { heldByBrake, heldByEvacuation } from './evacuation-words.ts'
import type { HeldBack } from './policy.ts'
import { adoptStarted, settleRunning } from './settle-moves.ts'
import { createMoveStarter } from './start-moves.ts'

/**
 * Emptying a blade: a reconciler over stored evacuations. It may run at any time and at any speed: what it needs is
 * read anew on each pass, so a restart is nothing special. A plan leaves it no choice but when, and whether at all.
 */
export interface Evacuations {
  /** What `begin` would plan now. Stores nothing. */
  plan(request: NewPlan): Plan
  /** Plans, stores, and lets the next pass begin. Throws `busy` when the blade is being emptied already. */
  begin(request: NewEvacuation): Begun
  /**
   * Carries out a plan that was made by others, like a rebalancing: `makePlan` is asked for it within the transaction,
   * with the id it gets. Throws `busy` when one for the same blade (or for none) is under way.
   */
  beginPlan(request: NewEvacuation, makePlan: PlanMaker): Begun
  /** One pass over all of them. Returns what is kept from going on, by a pause or for another, one sentence each. */
  advance(): HeldBack[]
  /** Moves under way are aborted, the others never begin. Throws `not-found` when it is not under way. */
  abort(operation: string, by: string): void
}

/** `brake` is asked once a pass, so that it holds for all of it. */
export function createEvacuations(
  services: Pick<OperationServices, 'store' | 'fleet' | 'clock' | 'log'>,
  operations: Operations,
  limits: EvacuationLimits,
  brake: () => Brake | undefined,
): Evacuations {
  const { store, clock } = services
  const { plan, begin, beginPlan } = createBeginning(services, operations, limits, brake)
  const startWhatMay = createMoveStarter(services, operations, limits, brake)
  const { abort, abortRunning, endIfDone } = createEnding(services, operations)

  /** An even load waits for a blade that is emptied: it may need the very room, and its plan has counted on it. */
  const emptiedBefore = ({ blade }: EvacuationRecord): EvacuationRecord | undefined =>
    blade === '' ? store.evacuations.active().find(each => each.blade !== '') : undefined

  const advanceOne = (evacuation: EvacuationRecord, on: Brake | undefined): HeldBack[] => {
    const id = evacuation.operation
    const isRunning = () => store.evacuations.get(id)?.state === 'running'
    adoptStarted(store, evacuation)
    settleRunning(store, id)
    const settled = store.evacuations.get(id)
    if (settled?.state === 'aborting') abortRunning(settled, 'the evacuation')
    const deadlineAt = store.operations.get(id)?.deadlineAt ?? 0
    if (evacuation.state === 'running' && deadlineAt < clock.now()) abort(id, 'its deadline')
    // Rule 10: a brake holds back what automation has not begun; moves under way end, and what a person asked for goes on.
    const held = isAutomatic(evacuation) ? on : undefined
    const first = emptiedBefore(evacuation)
    if (isRunning() && held === undefined && first === undefined) startWhatMay(id)
    endIfDone(id)
    const left = store.evacuations.get(id)
    if (left?.state !== 'running' || !left.moves.some(move => move.state === 'planned')) return []
    return [
      ...(first === undefined ? [] : [heldByEvacuation(left, first)]),
      ...(held === undefined ? [] : [heldByBrake(left, held)]),
    ]
  }

  return {
    plan,
    begin,
    beginPlan,
    abort,
    advance: () => {
      const active = store.evacuations.active()
      const on = active.some(isAutomatic) ? brake() : undefined
      return active.flatMap(evacuation => advanceOne(evacuation, on))
    },
  }
}
