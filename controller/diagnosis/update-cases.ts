import { formatDuration } from '../../shared/domain/units.ts'
import { type Case, DEFAULT_HOLDS, type Finding, type Holds } from './case.ts'
import { onePerKey } from './one-per-key.ts'
import { where, withoutPercent } from './words.ts'

export interface CaseEdits {
  /** The open cases from now on, sorted by key. */
  readonly cases: readonly Case[]
  readonly opened: readonly Case[]
  /** With `closedAt` set. */
  readonly closed: readonly Case[]
  /** What happened, one sentence each, for the log and for `lifeboat why`. */
  readonly story: readonly string[]
  /** Findings inside their assert hold: since when. Give it back at the next call. */
  readonly pending: ReadonlyMap<string, number>
}

/**
 * Folds what is found now into the open cases. Invariant: one open case a key. A case whose finding is gone stays open
 * until it has been gone for the clear hold, so that a flapping link is one case and one alert.
 *
 * `pending` remembers what waits for its assert hold. Whoever keeps none (undefined) gets every case at once: a missed
 * hold is a needless alert, a forgotten finding would be a missed one.
 */
export function updateCases(
  open: readonly Case[],
  findings: readonly Finding[],
  now: number,
  holds: Holds = DEFAULT_HOLDS,
  nextId: () => string,
  pending?: ReadonlyMap<string, number>,
): CaseEdits {
  const found = new Map(onePerKey(findings).map(finding => [finding.key, finding]))
  const cases: Case[] = []
  const closed: Case[] = []
  const story: string[] = []
  for (const each of open) {
    const finding = found.get(each.key)
    found.delete(each.key)
    const next = finding === undefined ? quiet(each, now, holds.clearMs) : refreshed(each, finding, now)
    if (next.closedAt === 0) cases.push(next)
    else closed.push(next)
    story.push(...tell(each, next))
  }
  const opened: Case[] = []
  const waiting = new Map<string, number>()
  for (const finding of found.values()) {
    const since = Math.min(pending?.get(finding.key) ?? now, now)
    const holdMs = holds.assertMs[finding.code] ?? 0
    if (pending !== undefined && now - since < holdMs) {
      waiting.set(finding.key, since)
      continue
    }
    const fresh = openCase(nextId(), finding, now)
    opened.push(fresh)
    story.push(
      `case ${fresh.id} opened: ${fresh.code} (${fresh.severity}) on ${where(fresh)}: ${fresh.evidence}`,
    )
  }
  const all = [...cases, ...opened].sort((a, b) => (a.key < b.key ? -1 : 1))
  return { cases: all, opened, closed, story, pending: waiting }
}

function openCase(id: string, finding: Finding, now: number): Case {
  return { ...finding, id, openedAt: now, lastFoundAt: now, quietSince: 0, closedAt: 0 }
}

function refreshed(each: Case, finding: Finding, now: number): Case {
  // observedAt stays: it answers "since when", and the newest reading would always say "just now".
  return { ...each, ...finding, observedAt: each.observedAt, lastFoundAt: now, quietSince: 0 }
}

function quiet(each: Case, now: number, clearMs: number): Case {
  const quietSince = each.quietSince === 0 ? now : each.quietSince
  return { ...each, quietSince, closedAt: now - quietSince >= clearMs ? now : 0 }
}

function tell(before: Case, after: Case): string[] {
  const name = `case ${after.id} ${after.code} on ${where(after)}`
  if (after.closedAt !== 0) {
    return [`${name}: closed, open for ${formatDuration(after.closedAt - after.openedAt)}`]
  }
  if (before.severity !== after.severity) {
    return [`${name}: ${before.severity} => ${after.severity}: ${after.evidence}`]
  }
  // Progress of a rebuild is part of the evidence and changes all the time; it is no event.
  if (withoutPercent(before.evidence) !== withoutPercent(after.evidence))
    return [`${name}: now ${after.evidence}`]
  if (before.quietSince === 0 && after.quietSince !== 0)
    return [`${name}: not seen any more, closes unless it returns`]
  if (before.quietSince !== 0 && after.quietSince === 0) return [`${name}: is back`]
  return []
}
