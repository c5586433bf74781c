import type { Logger } from '../../shared/log.ts'
import type { Case } from '../diagnosis/case.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { AlertRecord } from '../store/alerts.ts'
import type { Store } from '../store/store.ts'
import type { AlertContent } from './catalog.ts'
import { type AlertEdit, alertEdits } from './visible.ts'

/**
 * Makes the stored alerts say what the cases say, and puts a message for each change that matters into the outbox, in
 * one transaction: an alert without its message, or a message without its alert, cannot exist.
 */
export function applyAlerts(
  store: Store,
  notifiers: readonly string[],
  cases: readonly Case[],
  snapshot: FleetSnapshot,
  now: number,
  payloadOf: (alert: AlertRecord) => string,
  log: Logger,
): void {
  const open = store.alerts.open()
  const edits = alertEdits(cases, open, now, snapshot)
  if (edits.length === 0) return
  store.transaction(() => {
    for (const edit of edits) {
      const id = applyEdit(store, open, edit)
      const alert = id === undefined ? undefined : store.alerts.get(id)
      if (alert === undefined) continue
      if (edit.kind === 'update' && !edit.deliver) continue
      for (const notifier of notifiers) {
        store.outbox.add({
          dedupeKey: `${alert.id}/${alert.revision}/${notifier}`,
          notifier,
          alert: alert.id,
          payload: payloadOf(alert),
        })
      }
      for (const blade of alert.blades) {
        const word = edit.kind === 'clear' ? 'cleared' : edit.kind === 'raise' ? 'raised' : 'changed'
        store.stories.tell('blade', blade, now, `alert ${alert.id} ${word}: ${alert.title}`)
      }
      log.debug(`alert ${alert.id}: ${edit.kind}`)
    }
  })
}

/** The id of the alert that changed. */
function applyEdit(store: Store, open: readonly AlertRecord[], edit: AlertEdit): string | undefined {
  if (edit.kind === 'raise') {
    const id = `a${store.settings.nextNumber('alert')}`
    store.alerts.add({ ...NEW, ...stored(edit.alert), id, raisedAt: edit.at })
    return id
  }
  const key = edit.kind === 'clear' ? edit.caseKey : edit.alert.caseKey
  const known = open.find(alert => alert.caseKey === key)
  if (known === undefined) return undefined
  const revision = known.revision + 1
  if (edit.kind === 'clear') {
    store.alerts.update(known.id, {
      clearedAt: edit.at,
      text: `${known.text} Cleared: ${edit.because}.`,
      revision,
    })
  } else {
    // What got worse is news again: it is delivered anew, and an acknowledgement of the milder one does not cover it.
    const anew = edit.deliver
      ? { deliveredAt: 0, acknowledgedBy: '', acknowledgedAt: 0, acknowledgedNote: '' }
      : {}
    store.alerts.update(known.id, { ...stored(edit.alert), ...anew, revision })
  }
  return known.id
}

function stored(alert: AlertContent) {
  const { caseKey, code, severity, blade, subject, title, text, nextCommand, blades } = alert
  return { caseKey, code, severity, blade, subject, title, text, nextCommand, blades }
}

const NEW: Pick<
  AlertRecord,
  'clearedAt' | 'acknowledgedBy' | 'acknowledgedAt' | 'acknowledgedNote' | 'deliveredAt' | 'revision'
> = {
  clearedAt: 0,
  acknowledgedBy: '',
  acknowledgedAt: 0,
  acknowledgedNote: '',
  deliveredAt: 0,
  revision: 1,
}
