import type { ErrorCode } from '../../shared/errors.ts'

const FIRST_MS = 1000
const LIMIT_MS = 10_000
/** Nothing but an upgrade or a new certificate helps; asking each few seconds would only fill two logs. */
const HOPELESS_MS = 60_000
const HOPELESS: readonly ErrorCode[] = ['version-mismatch', 'not-authenticated', 'not-allowed']

/**
 * How long to wait before dialling again. `attempt` counts from 0, `chance` is in 0..1: after a controller's restart
 * its blades shall not all come at the same instant.
 */
export function reconnectDelayMs(attempt: number, code: ErrorCode, chance: number): number {
  const fullMs = HOPELESS.includes(code)
    ? HOPELESS_MS
    : Math.min(LIMIT_MS, FIRST_MS * 2 ** Math.min(attempt, 10))
  return Math.round(fullMs / 2 + (fullMs / 2) * chance)
}

/** Chance out of a UUID, so that tests decide it: ids and time are the only doors to randomness. */
export function chanceOf(uuid: string): number {
  return Number.parseInt(uuid.replaceAll('-', '').slice(0, 8), 16) / 0xffffffff
}
