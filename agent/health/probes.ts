import type { Clock } from '../../shared/clock.ts'
import type { Fact, ProbeSubject } from '../../shared/domain/health.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Probe } from './probe.ts'
import { unreadableFact } from './unreadable.ts'

/**
 * How long one reading may take. sysfs answers in microseconds or hangs with its driver; a BMC is slow by nature, and
 * ipmitool's own limit (10 s) should speak first: its message says more than ours.
 */
const TIME_LIMITS_MS: Record<ProbeSubject, number> = {
  mirror: 2 * SECOND_MS,
  bond: 2 * SECOND_MS,
  power: 15 * SECOND_MS,
}

export interface ProbesOptions {
  readonly probes: readonly Probe[]
  readonly clock: Clock
  readonly log: Logger
  /** Something changed that a person could care about: not merely a new reading of the same, nor progress. */
  readonly onChange: () => void
}

export interface RunningProbes {
  /** The latest facts of every probe, in the order of the probes. Empty for one that has not answered yet. */
  facts(): readonly Fact[]
  /** Resolves when every probe has answered once or passed its time limit. */
  readonly firstRound: Promise<void>
  close(): Promise<void>
}

/** Runs each probe at its own interval, for ever. A probe that hangs or throws yields a fact, never an error. */
export function startProbes(options: ProbesOptions): RunningProbes {
  const { probes, clock, log, onChange } = options
  const closing = new AbortController()
  const latest = new Map<Probe, readonly Fact[]>()

  const take = (probe: Probe, facts: readonly Fact[]) => {
    const before = latest.get(probe) ?? []
    latest.set(probe, facts)
    if (substanceOf(before) === substanceOf(facts)) return
    logUnreadable(log, before, facts)
    onChange()
  }
  const loop = async (probe: Probe, onFirst: () => void) => {
    const reader = createReader(probe, clock)
    while (!closing.signal.aborted) {
      const facts = await reader(closing.signal)
      if (closing.signal.aborted) break
      take(probe, facts)
      onFirst()
      await clock.sleep(probe.intervalMs, closing.signal)
    }
    onFirst()
  }
  const starts = probes.map(probe => {
    const first = Promise.withResolvers<void>()
    return { first: first.promise, ended: loop(probe, first.resolve) }
  })

  return {
    facts: () => probes.flatMap(probe => latest.get(probe) ?? []),
    firstRound: Promise.all(starts.map(start => start.first)).then(() => undefined),
    async close() {
      closing.abort()
      await Promise.all(starts.map(start => start.ended))
    },
  }
}

/**
 * One reading with a time limit. A reading that is still stuck is not started again: each would hold one of the few
 * threads of the pool, and a sick disk would stop the whole agent.
 */
function createReader(probe: Probe, clock: Clock): (closing: AbortSignal) => Promise<readonly Fact[]> {
  const limitMs = TIME_LIMITS_MS[probe.subject]
  let stuck: Promise<readonly Fact[]> | undefined
  return async closing => {
    const startedAt = clock.now()
    const reading = stuck ?? readSafely(probe, clock)
    stuck = reading
    const over = new AbortController()
    const stop = () => over.abort()
    closing.addEventListener('abort', stop, { once: true })
    const facts = await Promise.race([reading, clock.sleep(limitMs, over.signal).then(() => undefined)])
    closing.removeEventListener('abort', stop)
    stop()
    if (facts !== undefined) {
      stuck = undefined
      return facts
    }
    const error = new LifeboatError('timeout', `reading ${probe.subject} did not end within ${limitMs} ms`)
    return [unreadableFact(probe.subject, '', startedAt, error)]
  }
}

async function readSafely(probe: Probe, clock: Clock): Promise<readonly Fact[]> {
  try {
    return await probe.read()
  } catch (error) {
    return [unreadableFact(probe.subject, '', clock.now(), error)]
  }
}

/** Everything of the facts but when they were read and how far a rebuild is. */
export function substanceOf(facts: readonly Fact[]): string {
  return JSON.stringify(facts, (key, value) =>
    key === 'observedAt' || key === 'progressPercent' ? undefined : value,
  )
}

/** Once when something becomes unreadable and once when it can be read again. */
function logUnreadable(log: Logger, before: readonly Fact[], after: readonly Fact[]): void {
  const unreadable = (facts: readonly Fact[]) =>
    new Map(
      facts.flatMap(fact =>
        fact.kind === 'unreadable' ? [[`${fact.of} ${fact.name}`.trim(), fact.error]] : [],
      ),
    )
  const [was, is] = [unreadable(before), unreadable(after)]
  for (const [what, error] of is) if (!was.has(what)) log.warn('a probe cannot read', { what, error })
  for (const what of was.keys()) if (!is.has(what)) log.info(`probe ${what}: unreadable => readable`)
}
