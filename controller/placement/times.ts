import type { Method } from '../../shared/domain/operation.ts'
import type { VmView } from '../fleet/snapshot.ts'

/** What copies of this fleet take: measured where it was (controller/fleet/measured-rates.ts), else assumed. */
export interface PlanRates {
  /** What one copy gets that has both blades to itself, bytes per second, where nothing nearer was measured. */
  readonly copyBytesPerSecond: number
  /** The same, of copies from that blade. */
  readonly sources: Readonly<Record<string, number>>
  /** The same, of copies from one blade to another, by `linkName`. */
  readonly links: Readonly<Record<string, number>>
  /** From the vault onto one blade, bytes per second of volume. */
  readonly restoreBytesPerSecond: number
  /** Expected pause of a VM that moves while it runs. */
  readonly liveDowntimeMs: number
  /** Of each move, beside the copying: making volumes, confirming. */
  readonly overheadMs: number
}

export interface PlanLimits {
  readonly concurrentPerSource: number
  readonly concurrentPerTarget: number
}

/** 80 MB/s: a gigabit link with a mirror that is read at the same time, and a vault that is read over it. */
export const DEFAULT_RATES: PlanRates = {
  copyBytesPerSecond: 80_000_000,
  sources: {},
  links: {},
  restoreBytesPerSecond: 80_000_000,
  liveDowntimeMs: 300,
  overheadMs: 2_000,
}
export const DEFAULT_LIMITS: PlanLimits = { concurrentPerSource: 2, concurrentPerTarget: 2 }

/** A VM that is off has no downtime by the move. */
export function expectedDowntimeMs(method: Method, rates: PlanRates): number {
  return method === 'cold' ? 0 : rates.liveDowntimeMs
}

/** Whole volumes are copied, however much of them is written. */
export function volumeBytesOf(vm: Pick<VmView, 'volumes'>): number {
  return vm.volumes.reduce((sum, volume) => sum + volume.sizeBytes, 0)
}

/** What a move copies, in bytes. A cold copy carries no memory, and what comes back from a vault brings none. */
export function copiedBytes(move: {
  readonly method: Method | undefined
  readonly volumeBytes: number
  readonly memoryBytes: number
}): number {
  return move.volumeBytes + (move.method === 'live' ? move.memoryBytes : 0)
}

export function linkName(from: string, to: string): string {
  return `${from} → ${to}`
}

/** What a copy over that link gets while it is alone at both ends, bytes per second: what was measured nearest to it. */
export function rateOf(rates: PlanRates, from: string, to: string): number {
  return rates.links[linkName(from, to)] ?? rates.sources[from] ?? rates.copyBytesPerSecond
}

export interface Copy {
  readonly from: string
  readonly to: string
  readonly bytes: number
  /** Positions in the list: copies that must have ended before. */
  readonly needs: readonly number[]
}

interface Work extends Copy {
  readonly index: number
  /** Bytes per second while it is alone at both ends. */
  readonly alone: number
  /** Bytes to go. */
  left: number
}

/** So much of a copy, in seconds, is the rounding of fractions and no copying. */
const ROUNDING_SECONDS = 1e-9

/**
 * When each copy ends, in milliseconds from the start of the plan. Each starts as soon as what it needs has ended and
 * both limits let it, in the given order, as the evacuation does; copies that share a blade share its rate, and the
 * end with more of them is what slows a copy down. (A limit of its own for a link would never be the tighter one.)
 * Needs that form a circle would wait for ever: the first of them starts all the same, so that there is an answer.
 */
export function expectedEnds(copies: readonly Copy[], rates: PlanRates, limits: PlanLimits): number[] {
  const ends: number[] = copies.map(() => -1)
  let waiting = copies.map((copy, index) => workOf(copy, index, rates))
  const active = new Set<Work>()
  const sending = new Map<string, number>()
  const taking = new Map<string, number>()
  let nowSeconds = 0
  const mayStart = ({ from, to, needs }: Work) =>
    (sending.get(from) ?? 0) < limits.concurrentPerSource &&
    (taking.get(to) ?? 0) < limits.concurrentPerTarget &&
    needs.every(need => (ends[need] ?? 0) >= 0)
  const start = (work: Work) => {
    active.add(work)
    count(sending, work.from, 1)
    count(taking, work.to, 1)
  }
  while (waiting.length > 0 || active.size > 0) {
    waiting = waiting.filter(work => {
      if (!mayStart(work)) return true
      start(work)
      return false
    })
    const first = active.size === 0 ? waiting.shift() : undefined
    if (first !== undefined) start(first)
    const paces = [...active].map(work => ({
      work,
      rate: work.alone / Math.max(sending.get(work.from) ?? 1, taking.get(work.to) ?? 1),
    }))
    const step = Math.min(...paces.map(({ work, rate }) => work.left / rate))
    nowSeconds += step
    for (const { work, rate } of paces) {
      work.left -= rate * step
      if (work.left > rate * ROUNDING_SECONDS) continue
      ends[work.index] = Math.round(nowSeconds * 1000)
      active.delete(work)
      count(sending, work.from, -1)
      count(taking, work.to, -1)
    }
  }
  return ends
}

/** The overhead as if it were bytes: it takes its share of the time like the copying. */
function workOf(copy: Copy, index: number, rates: PlanRates): Work {
  const alone = rateOf(rates, copy.from, copy.to)
  return { ...copy, index, alone, left: Math.max(1, copy.bytes + (rates.overheadMs * alone) / 1000) }
}

function count(counts: Map<string, number>, name: string, change: number): void {
  counts.set(name, (counts.get(name) ?? 0) + change)
}
