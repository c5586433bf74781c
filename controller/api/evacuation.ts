import { LifeboatError } from '../../shared/errors.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { requireJoined } from './find.ts'
import { operationToWire } from './operation-view.ts'
import { planToWire } from './plan-view.ts'

/** Plans, and the evacuation a person asks for. A blade that is not up is `unavailable`. */
export function evacuationHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'planEvacuation' | 'evacuate' | 'getPlan'> {
  const { store, fleet, clock, evacuations } = context
  return {
    /** Moves nothing, stores nothing. */
    planEvacuation: ({ name }, caller) => {
      requireJoined(fleet.snapshot(clock.now()), store, name)
      const cause = `asked for by ${caller}; not stored, nothing moves`
      return planToWire(evacuations.plan({ blade: name, cause }), undefined)
    },
    evacuate: ({ blade: name }, caller) => {
      const blade = requireJoined(fleet.snapshot(clock.now()), store, name)
      if (blade.liveness !== 'up') {
        throw new LifeboatError(
          'unavailable',
          `${name} is ${blade.liveness}: its VMs cannot be moved by it; lifeboat blade show ${name}`,
        )
      }
      const begun = evacuations.begin({
        blade: name,
        cause: `evacuation of ${name}, asked for by ${caller}`,
        caseKey: '',
        caseId: '',
        requestedBy: caller,
      })
      // An emptied blade would be the emptiest of all, and the next plan would fill it again.
      if (blade.admin === 'in-service') {
        const reason = `emptied by ${caller} (operation ${begun.operation.id})`
        store.blades.update(name, { admin: 'cordoned', adminReason: reason })
        const line = `in-service => cordoned: ${reason}; lifeboat blade uncordon ${name} lets it take VMs again`
        store.stories.tell('blade', name, clock.now(), line)
        context.log.info(`blade ${name}: ${line}`)
        fleet.touch()
      }
      context.nudge()
      return {
        plan: planToWire(begun.plan, store.evacuations.get(begun.operation.id)),
        operation: operationToWire(context, begun.operation),
      }
    },
    getPlan: ({ id }) => {
      const plan = id === '' ? store.plans.newest() : store.plans.get(id)
      if (plan === undefined) {
        const what = id === '' ? 'no plan has been made yet' : `there is no plan ${id}`
        throw new LifeboatError(
          'not-found',
          `${what}; lifeboat evacuate BLADE --plan shows one without storing it`,
        )
      }
      return planToWire(
        plan,
        store.evacuations.ofPlan(plan.id),
        store.operations
          .list({ all: true, limit: 1000 })
          .find(operation => operation.plan === plan.id && operation.kind === 'move'),
      )
    },
  }
}
