import { VERSION } from '../../shared/version.ts'
import { automationOf } from '../evacuation/automation.ts'
import { worstFirst } from './alerts.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { operationToWire } from './operation-view.ts'
import { nPlusOneToWire } from './plan-view.ts'
import { alertToWire } from './views.ts'

/** The fleet on one page: what a person looks at first. */
export function statusHandlers(context: ApiContext): Pick<AdminHandlers, 'getStatus'> {
  const { store, fleet, clock } = context
  return {
    getStatus: () => {
      const now = clock.now()
      const { blades, vms } = fleet.snapshot(now)
      const last = context.reconciler()
      return {
        controllerVersion: VERSION,
        nowAt: now,
        automation: { ...automationOf(store, context.config) },
        blades: blades.length,
        bladesUp: blades.filter(blade => blade.liveness === 'up').length,
        bladesHealthy: blades.filter(blade => blade.health === 'healthy').length,
        vms: vms.length,
        vmsRunning: vms.filter(vm => vm.state === 'running' || vm.state === 'moving').length,
        alerts: worstFirst(store.alerts.open()).map(alertToWire),
        operations: store.operations.active().map(operation => operationToWire(context, operation)),
        heldBack: last.heldBack.map(each => each.text),
        nPlusOne: nPlusOneToWire(last.nPlusOne),
        backup: undefined,
      }
    },
  }
}
