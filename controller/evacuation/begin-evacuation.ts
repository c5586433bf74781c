import { LifeboatError } from '../../shared/errors.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { Operations } from '../operations/operations.ts'
import type { OperationServices } from '../operations/services.ts'
import { planEvacuation } from '../placement/make-plan.ts'
import type { Plan } from '../placement/plan.ts'
import type { AskedCause } from '../placement/rules.ts'
import type { PlanLimits } from '../placement/times.ts'
import { wordsOf } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { Brake } from './brakes.ts'
import { tellPlan } from './evacuation-story.ts'
import { heededByNew, planAround } from './plan-around.ts'
import { toMove } from './planned-move.ts'

export interface EvacuationLimits extends PlanLimits {
  /** What an evacuation has until its deadline: once for each move of its plan, and once where it has none. */
  readonly moveDeadlineMs: number
}

export interface NewPlan {
  readonly blade: string
  readonly cause: string
  /** What each VM's policy goes by. Default: a person asked. */
  readonly trigger?: AskedCause
}

export interface NewEvacuation extends NewPlan {
  /** Empty when a person asked. */
  readonly caseKey: string
  readonly caseId: string
  readonly requestedBy: string
}

export interface Begun {
  readonly plan: Plan
  readonly operation: OperationRecord
}

/** Makes the plan; asked within the transaction that stores it, with the id it gets. */
export type PlanMaker = (snapshot: FleetSnapshot, head: PlanId) => Plan

interface PlanId {
  readonly id: string
  readonly now: number
}

export interface Beginning {
  /** See Evacuations. */
  plan(request: NewPlan): Plan
  begin(request: NewEvacuation): Begun
  beginPlan(request: NewEvacuation, makePlan: PlanMaker): Begun
}

/** The plan, its operation and its moves are stored as one; nothing moves before the next pass. */
export function createBeginning(
  services: Pick<OperationServices, 'store' | 'fleet' | 'clock' | 'log'>,
  operations: Pick<Operations, 'addParent'>,
  limits: EvacuationLimits,
  brake: () => Brake | undefined,
): Beginning {
  const { store, fleet, clock } = services

  const refuseSecond = (blade: string) => {
    const under = store.evacuations.active().find(each => each.blade === blade)
    if (under === undefined) return
    throw new LifeboatError('busy', `${wordsOf(under)} already; lifeboat operation watch ${under.operation}`)
  }

  const beginPlan: Beginning['beginPlan'] = (request, makePlan) => {
    const { blade, cause, caseKey, caseId, requestedBy } = request
    refuseSecond(blade)
    const now = clock.now()
    return store.transaction(() => {
      const plan = makePlan(fleet.snapshot(now), { id: `p${store.settings.nextNumber('plan')}`, now })
      store.plans.add(plan)
      const deadlineAt = now + limits.moveDeadlineMs * Math.max(1, plan.moves.length)
      const operation = operations.addParent({ from: blade, plan: plan.id, cause, requestedBy, deadlineAt })
      store.evacuations.add({
        operation: operation.id,
        plan: plan.id,
        blade,
        cause,
        caseKey,
        caseId,
        state: 'running',
        startedAt: now,
        endedAt: 0,
        moves: plan.moves.map((move, seq) => toMove(move, seq, plan.id)),
      })
      tellPlan(services, plan)
      return { plan, operation }
    })
  }

  const planAmongOthers = (
    { blade: bladeName, cause, trigger = 'asked' }: NewPlan,
    snapshot: FleetSnapshot,
    head: PlanId,
  ) =>
    planAround(snapshot, heededByNew(store.evacuations.active(), brake() !== undefined), view =>
      planEvacuation(view, { ...head, bladeName, cause, trigger, limits }),
    )

  return {
    beginPlan,
    plan: request => {
      const now = clock.now()
      return planAmongOthers(request, fleet.snapshot(now), { id: '', now })
    },
    begin: request => beginPlan(request, (snapshot, head) => planAmongOthers(request, snapshot, head)),
  }
}
