import type { BackupOverview } from '../../proto/gen/lifeboat/v1/admin.ts'
import { plural } from '../../shared/domain/units.ts'
import { VERSION } from '../../shared/version.ts'
import { type KnownBackups, readBackups } from '../backup/known.ts'
import { automationOf } from '../evacuation/automation.ts'
import type { VmView } from '../fleet/snapshot.ts'
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
        backup: backupOverview(vms, readBackups(store, context.config.backup), now),
      }
    },
  }
}

/** How well the fleet is backed up, in one sentence and the numbers behind it. */
function backupOverview(vms: readonly VmView[], known: KnownBackups, now: number): BackupOverview {
  const expected = vms.filter(vm => known.policyOf(vm).mode !== 'off')
  const standings = expected.map(vm => known.standingOf(vm, now))
  const overdue = standings.filter(standing => standing.overdue).length
  const never = standings.filter(standing => standing.newest === undefined).length
  const verified = standings.filter(
    ({ newest, newestVerifiedAt }) => newest !== undefined && newest.at === newestVerifiedAt,
  ).length
  const counted = [
    `${plural(expected.length, 'VM')} to back up`,
    overdue > 0 ? `${overdue} overdue` : 'none overdue',
    ...(never > 0 ? [`${never} never yet`] : []),
    `${verified} with a verified newest restore point`,
  ]
  return {
    vms: expected.length,
    off: vms.length - expected.length,
    overdue,
    verified,
    oldestAt:
      never > 0 || standings.length === 0 ? 0 : Math.min(...standings.map(({ newest }) => newest?.at ?? 0)),
    vault: known.vault?.name ?? '',
    text: known.vault === undefined ? 'there is no vault to back up to' : counted.join(', '),
  }
}
