import type { Recurrence } from './config.ts'

/**
 * Is it time again? `lastAt` is when it was last begun, 0: never; `now` in epoch ms. Days are counted by the calendar
 * of this host, so that a change to summer time moves nothing. What was missed, because the host was off, is due at
 * once and only once.
 */
export function isDue(recurrence: Recurrence, lastAt: number, now: number): boolean {
  const slot = new Date(now)
  slot.setHours(recurrence.hour, 0, 0, 0)
  if (slot.getTime() > now) slot.setDate(slot.getDate() - 1)
  slot.setDate(slot.getDate() - (recurrence.everyDays - 1))
  return lastAt < slot.getTime()
}
