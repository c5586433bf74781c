import { MINUTE_MS } from './domain/units.ts'
import { LifeboatError } from './errors.ts'

/** A schedule of five fields, each as the set of values it allows. */
export interface Cron {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** As cron has it: when both days are restricted, one of the two is enough. */
  readonly eitherDay: boolean
}

const FIELDS = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12 },
  // 7 is Sunday too.
  { name: 'day of the week', least: 0, most: 7 },
] as const
/** The longest way to a day that exists at all: from one 29 February to the next across 2100. */
const HORIZON_DAYS = 8 * 366 + 1

/** `0 2 * * *`: minute, hour, day, month, weekday; `*`, lists, ranges and steps of numbers. Throws `bad-input`. */
export function parseCron(text: string): Cron {
  const parts = text.trim().split(/\s+/)
  if (parts.length !== FIELDS.length) {
    throw new LifeboatError(
      'bad-input',
      `'${text}' is not a schedule: minute, hour, day, month and weekday are needed, as in '0 2 * * *'`,
    )
  }
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, index) =>
    parseField(parts[index] ?? '', field),
  ) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>]
  if (weekdays.has(7)) weekdays.add(0)
  const restricted = (part: string | undefined) => part?.startsWith('*') === false
  return { minutes, hours, days, months, weekdays, eitherDay: restricted(parts[2]) && restricted(parts[4]) }
}

function parseField(text: string, { name, least, most }: (typeof FIELDS)[number]): Set<number> {
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part)
    const from = Number(match?.[1] ?? least)
    const step = Number(match?.[3] ?? 1)
    // `5/10` means from 5 on, in steps of ten.
    const single = match?.[1] !== undefined && match[3] === undefined
    const to = Number(match?.[2] ?? (single ? from : most))
    if (match === null || from < least || to > most || from > to || step < 1) {
      throw new LifeboatError(
        'bad-input',
        `'${part}' is not a ${name}: ${least} to ${most}, lists, ranges and steps`,
      )
    }
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return values
}

/**
 * The first moment of the schedule after that time, by the local time of this host; epoch ms. 0 when it never comes
 * (31 February). Where summer time leaves an hour out, its moments fall into the hour after it: a night is not lost.
 */
export function nextAfter(cron: Cron, after: number): number {
  const start = new Date(after)
  for (let days = 0; days < HORIZON_DAYS; days += 1) {
    const noon = new Date(start.getFullYear(), start.getMonth(), start.getDate() + days, 12)
    if (!isDay(cron, noon)) continue
    const found = momentsOf(cron, noon).find(at => at > after)
    if (found !== undefined) return found
  }
  return 0
}

/** The newest moment of the schedule at or before that time, likewise; 0 when there was none in years. */
export function lastBefore(cron: Cron, at: number): number {
  const start = new Date(at)
  for (let days = 0; days < HORIZON_DAYS; days += 1) {
    const noon = new Date(start.getFullYear(), start.getMonth(), start.getDate() - days, 12)
    if (!isDay(cron, noon)) continue
    const found = momentsOf(cron, noon).findLast(moment => moment <= at)
    if (found !== undefined) return found
  }
  return 0
}

function isDay(cron: Cron, date: Date): boolean {
  if (!cron.months.has(date.getMonth() + 1)) return false
  const day = cron.days.has(date.getDate())
  const weekday = cron.weekdays.has(date.getDay())
  return cron.eitherDay ? day || weekday : day && weekday
}

/** In their order; of an hour that a change of the clock brings twice, only one. */
function momentsOf(cron: Cron, date: Date): number[] {
  const moments = [...cron.hours].flatMap(hour =>
    [...cron.minutes].map(minute =>
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
