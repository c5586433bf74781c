import cron from 'node-cron'
import { HOUR_MS, MINUTE_MS } from './domain/units.ts'
import { LifeboatError } from './errors.ts'

/**
 * A schedule of five fields, each as the set of values it allows. node-cron reads them; when they come is computed here,
 * since it knows only the real clock, and a night that was missed must be seen by any `now`.
 */
export interface Cron {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** As cron has it: when both days are restricted, one of the two is enough. */
  readonly eitherDay: boolean
}

const FIELD_COUNT = 5
/** The longest way to a day that exists at all: from one 29 February to the next across 2100. */
const HORIZON_DAYS = 8 * 366 + 1

/**
 * `0 2 * * *`: minute, hour, day, month, weekday, as node-cron reads them; numbers, names, lists, ranges and steps.
 * Throws `bad-input` naming every bad field.
 */
export function parseCron(text: string): Cron {
  const parts = text.trim().split(/\s+/)
  if (parts.length !== FIELD_COUNT) {
    throw new LifeboatError(
      'bad-input',
      `'${text}' is not a schedule: minute, hour, day, month and weekday are needed, as in '0 2 * * *'`,
    )
  }
  const { fields, errors } = cron.validateDetailed(text)
  if (fields === undefined || errors.length > 0) {
    const details = errors.map(error => error.message)
    throw new LifeboatError('bad-input', `'${text}' is not a schedule`, { details })
  }
  const restricted = (part: string | undefined) => part?.startsWith('*') === false
  return {
    minutes: new Set(fields.minute),
    hours: new Set(fields.hour),
    days: numbers(text, fields.dayOfMonth),
    months: new Set(fields.month),
    weekdays: numbers(text, fields.dayOfWeek),
    eitherDay: restricted(parts[2]) && restricted(parts[4]),
  }
}

/** node-cron also knows days that depend on the month (`L`, `1#2`); when they come next it tells for today alone. */
function numbers(text: string, values: readonly (number | string)[]): Set<number> {
  const found = new Set<number>()
  for (const value of values) {
    if (typeof value === 'string') {
      throw new LifeboatError('bad-input', `'${text}' is not a schedule of ours: '${value}' is no number`)
    }
    found.add(value)
  }
  return found
}

/**
 * The first moment of the schedule after that time, by the local time of this host; epoch ms. 0 when it never comes
 * (31 February). Where summer time leaves an hour out, its moments fall into the hour after it: a night is not lost.
 */
export function nextAfter(schedule: Cron, after: number): number {
  const start = new Date(after)
  for (let days = 0; days < HORIZON_DAYS; days += 1) {
    const noon = new Date(start.getFullYear(), start.getMonth(), start.getDate() + days, 12)
    if (!isDay(schedule, noon)) continue
    const found = momentsOf(schedule, noon).find(at => at > after)
    if (found !== undefined) return found
  }
  return 0
}

/** The newest moment of the schedule at or before that time, likewise; 0 when there was none in years. */
export function lastBefore(schedule: Cron, at: number): number {
  const start = new Date(at)
  for (let days = 0; days < HORIZON_DAYS; days += 1) {
    const noon = new Date(start.getFullYear(), start.getMonth(), start.getDate() - days, 12)
    if (!isDay(schedule, noon)) continue
    const found = momentsOf(schedule, noon).findLast(moment => moment <= at)
    if (found !== undefined) return found
  }
  return 0
}

function isDay(schedule: Cron, date: Date): boolean {
  if (!schedule.months.has(date.getMonth() + 1)) return false
  const day = schedule.days.has(date.getDate())
  const weekday = schedule.weekdays.has(date.getDay())
  return schedule.eitherDay ? day || weekday : day && weekday
}

/** In their order; of an hour that a change of the clock brings twice, only one. */
function momentsOf(schedule: Cron, date: Date): number[] {
  const moments = [...schedule.hours].flatMap(hour =>
    [...schedule.minutes].map(minute =>
      new Date(date.getFullYear(), date.getMonth(), date.getDate(), hour, minute).getTime(),
    ),
  )
  return moments.sort((a, b) => a - b)
}

/** Does `text` parse? For the checks of configuration files. */
export function isCron(text: string): boolean {
  try {
    parseCron(text)
    return true
  } catch {
    return false
  }
}

/** A moment within `jitterMs` that is always the same for one name, so that not all begin at once. In whole minutes. */
export function jitterOf(name: string, jitterMs: number): number {
  const minutes = Math.floor(jitterMs / MINUTE_MS)
  if (minutes === 0) return 0
  // FNV-1a: spread is all that is asked of it.
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return (hash % minutes) * MINUTE_MS
}

/** Clocks that are set by some minutes are no matter: what was done would be done twice. */
const WRONG_CLOCK_MS = HOUR_MS

/** When something was last done; 0, never, for a moment of the future: a clock that was wrong wrote it down. Pure. */
export function pastOrNever(at: number, now: number): number {
  return at > now + WRONG_CLOCK_MS ? 0 : at
}
