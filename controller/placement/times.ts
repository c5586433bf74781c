import type { Method } from '../../shared/domain/operation.ts'

export interface PlanRates {
  /** What one blade can send in all, bytes per second. */
  readonly copyBytesPerSecond: number
  /** Expected pause of a VM that moves while it runs. */
  readonly liveDowntimeMs: number
  /** Of each move, beside the copying: making volumes, confirming. */
  readonly overheadMs: number
}

export interface PlanLimits {
  readonly concurrentPerSource: number
  readonly concurrentPerTarget: number
}

/** 80 MB/s: a gigabit link with a mirror that is read at the same time; measured moves replace it later. */
export const DEFAULT_RATES: PlanRates = {
  copyBytesPerSecond: 80_000_000,
  liveDowntimeMs: 300,
  overheadMs: 2_000,
}
export const DEFAULT_LIMITS: PlanLimits = { concurrentPerSource: 2, concurrentPerTarget: 2 }

/** A VM that is off has no downtime by the move. */
export function expectedDowntimeMs(method: Method, rates: PlanRates): number {
  return method === 'cold' ? 0 : rates.liveDowntimeMs
}

interface Copy {
  readonly to: string
  readonly bytes: number
}

/**
 * When each copy ends, in milliseconds from the start of the plan. The copies leave one blade and share its rate
 * evenly; each starts as soon as both limits let it, in the given order, as the evacuation does.
 */
export function expectedEnds(copies: readonly Copy[], rates: PlanRates, limits: PlanLimits): number[] {
  const ends = copies.map(() => 0)
  const left = copies.map(copy => workBytes(copy, rates))
  const waiting = copies.map((_, index) => index)
  let active: number[] = []
  let nowMs = 0
  while (waiting.length > 0 || active.length > 0) {
    active = [...active, ...takeStartable(waiting, active, copies, limits)]
    const shortest = Math.min(...active.map(index => left[index] ?? 0))
    nowMs += (shortest * active.length * 1000) / rates.copyBytesPerSecond
    for (const index of active) {
      left[index] = (left[index] ?? 0) - shortest
      if ((left[index] ?? 0) <= 0) ends[index] = Math.round(nowMs)
    }
    active = active.filter(index => (left[index] ?? 0) > 0)
  }
  return ends
}

/** The overhead as if it were bytes: it takes its share of the time like the copying. */
function workBytes(copy: Copy, rates: PlanRates): number {
  return Math.max(1, copy.bytes + (rates.overheadMs * rates.copyBytesPerSecond) / 1000)
}

/** Removes from `waiting` what may start beside `active`. Always at least one when nothing is active. */
function takeStartable(
  waiting: number[],
  active: readonly number[],
  copies: readonly Copy[],
  limits: PlanLimits,
): number[] {
  const started: number[] = []
  for (const index of [...waiting]) {
    const running = [...active, ...started]
    const same = running.filter(other => copies[other]?.to === copies[index]?.to).length
    const allowed = running.length < limits.concurrentPerSource && same < limits.concurrentPerTarget
    if (!allowed && running.length > 0) continue
    started.push(index)
    waiting.splice(waiting.indexOf(index), 1)
  }
  return started
}
