import { MIB, SECOND_MS } from '../../shared/domain/units.ts'
import { DEFAULT_RATES, linkName, type PlanRates } from '../placement/times.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { AgentStep } from '../store/orders.ts'

/** The median of so many of the newest: a slow night long ago says nothing of tonight. */
const NEWEST = 20
/** One or two may be accidents: below, what was measured more widely counts, and in the end what is assumed. */
const FEWEST = 3
/** Of less, the time is that of the beginning and the end, not of the copying. */
const LEAST_BYTES = 64 * MIB
const LEAST_MS = SECOND_MS

export interface RateSources {
  /** Done moves, the newest first. */
  readonly moves: readonly OperationRecord[]
  /** Done restores and boot tests, the newest first, with the steps that their agents told. */
  readonly restores: readonly { readonly operation: OperationRecord; readonly steps: readonly AgentStep[] }[]
}

/** One copy that has ended. */
interface Sample {
  readonly from: string
  readonly to: string
  readonly bytes: number
  readonly startedAt: number
  readonly endedAt: number
}

/**
 * What copies took, so that plans expect what this fleet does. A copy that shared its blades with others would have been
 * faster alone: its rate counts for as many times as there were copies, on average, at the busier end. Pure.
 */
export function measuredRates({ moves, restores }: RateSources): PlanRates {
  const copies = withRates(moves.flatMap(move => sampleOfMove(move) ?? []))
  const restored = withRates(restores.flatMap(sampleOfRestore))
  const live = moves.filter(move => move.method === 'live' && move.downtimeMs > 0)
  return {
    copyBytesPerSecond: typical(copies) ?? DEFAULT_RATES.copyBytesPerSecond,
    sources: typicalOf(copies, ({ from }) => from),
    links: typicalOf(copies, ({ from, to }) => linkName(from, to)),
    restoreBytesPerSecond: typical(restored) ?? DEFAULT_RATES.restoreBytesPerSecond,
    liveDowntimeMs: median(live.map(move => move.downtimeMs)) ?? DEFAULT_RATES.liveDowntimeMs,
    overheadMs: median(moves.flatMap(besideCopying)) ?? DEFAULT_RATES.overheadMs,
  }
}

function sampleOfMove(move: OperationRecord): Sample | undefined {
  const send = move.steps.find(step => step.name === 'send')
  if (send === undefined || send.endedAt === 0) return undefined
  const { from, to, doneBytes: bytes } = move
  return { from, to, bytes, startedAt: send.startedAt, endedAt: send.endedAt }
}

/** Bytes of volume, whatever came of it over the link; from its first step until all is written and read back. */
function sampleOfRestore({ operation, steps }: RateSources['restores'][number]): Sample[] {
  const first = steps[0]
  const written = steps.find(step => step.name === 'define')
  if (first === undefined || written === undefined) return []
  const { to, totalBytes: bytes } = operation
  return [{ from: '', to, bytes, startedAt: first.startedAt, endedAt: written.startedAt }]
}

function besideCopying(move: OperationRecord): number[] {
  const sample = sampleOfMove(move)
  if (sample === undefined) return []
  return [Math.max(0, move.endedAt - move.startedAt - (sample.endedAt - sample.startedAt))]
}

interface Rated extends Sample {
  readonly bytesPerSecond: number
}

function withRates(samples: readonly Sample[]): Rated[] {
  return samples
    .filter(({ bytes, startedAt, endedAt }) => bytes >= LEAST_BYTES && endedAt - startedAt >= LEAST_MS)
    .map(sample => ({ ...sample, bytesPerSecond: rateAlone(sample, samples) }))
}

function rateAlone(sample: Sample, all: readonly Sample[]): number {
  const took = sample.endedAt - sample.startedAt
  const beside = (same: (other: Sample) => boolean) =>
    all
      .filter(other => other !== sample && same(other))
      .reduce((sum, other) => sum + overlap(sample, other), 0) / took
  const busier = Math.max(
    beside(other => other.from === sample.from),
    beside(other => other.to === sample.to),
  )
  return ((sample.bytes * SECOND_MS) / took) * (1 + busier)
}

function overlap(a: Sample, b: Sample): number {
  return Math.max(0, Math.min(a.endedAt, b.endedAt) - Math.max(a.startedAt, b.startedAt))
}

function typical(samples: readonly Rated[]): number | undefined {
  return median(samples.map(each => each.bytesPerSecond))
}

/** Only of those with samples enough. */
function typicalOf(samples: readonly Rated[], key: (sample: Sample) => string): Record<string, number> {
  const rates: Record<string, number> = {}
  for (const [name, own] of Map.groupBy(samples, key)) {
    const rate = typical(own)
    if (rate !== undefined) rates[name] = rate
  }
  return rates
}

/** Of the newest; undefined when they are too few. Rounded: a fraction of a byte decides nothing. */
function median(values: readonly number[]): number | undefined {
  if (values.length < FEWEST) return undefined
  const sorted = values.slice(0, NEWEST).sort((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? 0, sorted[Math.floor(middle)] ?? 0]
  return Math.max(1, Math.round((low + high) / 2))
}
