import { LifeboatError } from '../../shared/errors.ts'
import { SEVERITIES, type Severity } from '../diagnosis/case.ts'
import type { AlertRecord } from '../store/alerts.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { alertToWire } from './views.ts'

const LIST_LIMIT = 500

/** List, show, acknowledge. Unknown alerts are `not-found`. */
export function alertHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'listAlerts' | 'getAlert' | 'acknowledgeAlert'> {
  const { store, clock } = context
  return {
    listAlerts: ({ all }) => ({
      alerts: (all ? store.alerts.list(LIST_LIMIT) : worstFirst(store.alerts.open())).map(alertToWire),
    }),
    getAlert: ({ id }) => alertToWire(requireAlert(context, id)),
    acknowledgeAlert: ({ id, note }, caller) => {
      const alert = requireAlert(context, id)
      const now = clock.now()
      store.transaction(() => {
        store.alerts.update(id, { acknowledgedBy: caller, acknowledgedAt: now, acknowledgedNote: note })
        settleOperation(context, alert, now)
      })
      context.log.info(`alert ${id}: acknowledged by ${caller}${note === '' ? '' : `: ${note}`}`)
      for (const blade of alert.blades) {
        store.stories.tell(
          'blade',
          blade,
          now,
          `alert ${id} acknowledged by ${caller}${note === '' ? '' : `: ${note}`}`,
        )
      }
      context.nudge()
      return alertToWire(requireAlert(context, id))
    },
  }
}

/**
 * Nothing in the fleet says when a half-done operation has been tidied up: the person who did it says so. Of an
 * evacuation the fleet does say it: see controller/evacuation/left-behind.ts.
 */
function settleOperation({ store }: ApiContext, alert: AlertRecord, now: number): void {
  if (alert.code !== 'operation-needs-admin') return
  store.operations.update(alert.subject, { settledAt: now })
}

/** The worst first, among equals the oldest. */
export function worstFirst(alerts: readonly AlertRecord[]): AlertRecord[] {
  const rank = (alert: AlertRecord) => SEVERITIES[alert.severity as Severity] ?? 0
  return [...alerts].sort((a, b) => rank(b) - rank(a) || a.raisedAt - b.raisedAt)
}

function requireAlert({ store }: ApiContext, id: string): AlertRecord {
  const alert = store.alerts.get(id)
  if (alert === undefined) {
    throw new LifeboatError('not-found', `there is no alert ${id}; lifeboat alert list --all shows them`)
  }
  return alert
}
