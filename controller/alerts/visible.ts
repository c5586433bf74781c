import { type Case, SEVERITIES } from '../diagnosis/case.ts'
import { withoutPercent } from '../diagnosis/words.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { type AlertContent, alertContent, CATALOG } from './catalog.ts'

/**
 * How long a case that may be part of a common cause waits before it is told. A dead switch is seen by each blade when
 * its next look is due (3 s) and reported at once; the first ones would be ten alerts, each taken back a moment later.
 * What is severe does not wait.
 */
export const SETTLE_MS = 4_000

/** An open alert, as far as it matters here. */
export interface ShownAlert {
  readonly caseKey: string
  readonly severity: string
  readonly text: string
}

export type AlertEdit =
  | { readonly kind: 'raise'; readonly at: number; readonly alert: AlertContent }
  /** `deliver`: it got worse or something else was found; otherwise only the wording follows the fleet. */
  | { readonly kind: 'update'; readonly at: number; readonly alert: AlertContent; readonly deliver: boolean }
  /** `because`: one sentence, for the message that closes it. */
  | { readonly kind: 'clear'; readonly at: number; readonly caseKey: string; readonly because: string }

/**
 * What has to change so that the alerts say what the cases say: one alert for each open case that is not merely the
 * effect of another. Idempotent: with the edits carried out, the next call returns none.
 */
export function alertEdits(
  cases: readonly Case[],
  shown: readonly ShownAlert[],
  now: number,
  snapshot: FleetSnapshot,
): AlertEdit[] {
  const open = cases.filter(each => each.closedAt === 0)
  const known = new Map(shown.map(alert => [alert.caseKey, alert]))
  const edits: AlertEdit[] = []
  for (const alert of shown) {
    const each = open.find(candidate => candidate.key === alert.caseKey)
    const cause = each && causeOf(each, open)
    if (each !== undefined && cause === undefined) continue
    const because =
      cause === undefined
        ? 'it is over'
        : `it is part of another alert now: ${CATALOG[cause.code].title(cause)}`
    edits.push({ kind: 'clear', at: now, caseKey: alert.caseKey, because })
  }
  for (const each of open) {
    if (causeOf(each, open) !== undefined) continue
    const alert = alertContent(each, snapshot)
    const before = known.get(each.key)
    if (before === undefined) {
      if (isSettling(each, now)) continue
      edits.push({ kind: 'raise', at: now, alert })
    } else if (before.text !== alert.text || before.severity !== alert.severity) {
      // A blade being emptied rewords its alert with every VM that leaves; nobody wants to be called for that.
      const sameMatter = withoutPercent(before.text).includes(withoutPercent(each.evidence))
      edits.push({
        kind: 'update',
        at: now,
        alert,
        deliver: !sameMatter || before.severity !== alert.severity,
      })
    }
  }
  return edits
}

function isSettling(each: Case, now: number): boolean {
  const mayBeEffect = CATALOG[each.code].dependsOn.some(cause => cause.code === 'common-cause')
  // A negative age means that the clock was set back: no reason to keep quiet.
  const ageMs = now - each.openedAt
  return mayBeEffect && each.severity !== 'severe' && ageMs >= 0 && ageMs < SETTLE_MS
}

/** The open case this one is an effect of. Never a milder one: that would hide the worse news behind the better. */
function causeOf(each: Case, open: readonly Case[]): Case | undefined {
  for (const dependency of CATALOG[each.code].dependsOn) {
    const cause = open.find(
      other =>
        other.code === dependency.code &&
        other.key !== each.key &&
        SEVERITIES[other.severity] >= SEVERITIES[each.severity] &&
        (dependency.sameSubject !== true || other.subject === each.subject) &&
        each.blades.length > 0 &&
        each.blades.every(blade => other.blades.includes(blade)),
    )
    if (cause !== undefined) return cause
  }
  return undefined
}
