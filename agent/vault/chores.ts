import type { Clock } from '../../shared/clock.ts'
import { type Cron, lastBefore, pastOrNever } from '../../shared/cron.ts'
import { formatDuration, HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import { startLoop } from '../loop.ts'
import type { ScrubState } from './store/records.ts'
import { MANY_UNPROVEN } from './store/unproven.ts'
import type { VaultStore } from './store/vault-store.ts'

const LOOK_MS = MINUTE_MS
/** After one that failed: a disk that does not answer is told of once in a while. */
const PROVE_AGAIN_MS = 10 * MINUTE_MS
/** So long cleaning waits for the proof of what came in. */
const CLEAN_LATE_MS = 12 * HOUR_MS

/** What the vault does by itself: the proof of what came in, retention and collection, the scrub. */
export interface Chores {
  /** Begins a round, or goes on with one that was stopped; resolves when it runs. `busy` when one does already. */
  beginScrub(): Promise<void>
  /** Resolves when it has ended; the next round goes on from there. None running is no error. */
  stopScrub(): Promise<void>
  close(): Promise<void>
}

export interface ChoresOptions {
  readonly store: Pick<VaultStore, 'status' | 'prune' | 'collect' | 'scrub' | 'prove'>
  readonly scrub: { readonly schedule: Cron; readonly rateBytes: number }
  readonly cleaning: { readonly schedule: Cron }
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Is it time again? What was missed, because the host was off, is due at once and only once. Pure.
 * `lastAt`: when it was last begun; 0: never.
 */
export function isDue(schedule: Cron, lastAt: number, now: number): boolean {
  return lastBefore(schedule, now) > pastOrNever(lastAt, now)
}

/** A round that a restart cut off goes on at once; one that a person stopped waits for its schedule. Pure. */
export function isScrubDue(state: ScrubState, stoppedAt: number, schedule: Cron, now: number): boolean {
  const isCutOff = state.startedAt > 0 && state.endedAt === 0
  if (isCutOff && stoppedAt === 0) return true
  return isDue(schedule, Math.max(state.startedAt, stoppedAt), now)
}

/** Starts to look each minute at what is due. */
export function startChores(options: ChoresOptions): Chores {
  const { store, clock, log } = options
  const closing = new AbortController()
  let cleanedAt = 0
  let stoppedAt = 0
  let round: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined

  const clean = async () => {
    cleanedAt = clock.now()
    try {
      const verdicts = await store.prune({ dryRun: false })
      const { refused } = await store.collect({ dryRun: false, signal: closing.signal })
      const dropped = verdicts.filter(({ keep }) => !keep).length
      log.info('cleaned', { dropped, kept: verdicts.length - dropped })
      if (refused !== '') log.warn('no chunk was collected', { why: refused })
    } catch (error) {
      if (!closing.signal.aborted)
        log.warn('cleaning failed, next try by its schedule', { error: formatErrorChain(error) })
    }
  }

  const scrub = () => {
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, closing.signal])
    const work = async () => {
      try {
        await store.scrub({ signal, rateBytes: options.scrub.rateBytes })
      } catch (error) {
        if (!signal.aborted)
          log.warn('the scrub failed, next try by its schedule', { error: formatErrorChain(error) })
        stoppedAt = clock.now()
      } finally {
        round = undefined
      }
    }
    round = { stop, ended: work() }
  }

  let proof: Promise<void> | undefined
  let proveNotBefore = 0
  const prove = async () => {
    try {
      await store.prove(closing.signal)
    } catch (error) {
      proveNotBefore = clock.now() + PROVE_AGAIN_MS
      if (!closing.signal.aborted)
        log.warn(`what came in could not be hashed, next try in ${formatDuration(PROVE_AGAIN_MS)}`, {
          error: formatErrorChain(error),
        })
    } finally {
      proof = undefined
    }
  }

  const loop = startLoop({
    clock,
    intervalMs: LOOK_MS,
    gatherMs: 0,
    body: async () => {
      const status = await look(options)
      if (status === undefined || closing.signal.aborted) return
      const now = clock.now()
      const isQuiet = status.sessions === 0 || status.unproven >= MANY_UNPROVEN
      if (proof === undefined && status.unproven > 0 && isQuiet && now >= proveNotBefore) proof = prove()
      if (round === undefined && isScrubDue(status.scrub, stoppedAt, options.scrub.schedule, now)) scrub()
      const lastAt = Math.max(cleanedAt, status.collectedAt)
      // A restore point nobody has hashed must not push out an older one; a vault that is never quiet cleans all the same.
      const lateMs = now - lastBefore(options.cleaning.schedule, now)
      const mayClean = status.unproven === 0 || lateMs >= CLEAN_LATE_MS
      if (mayClean && isDue(options.cleaning.schedule, lastAt, now)) await clean()
    },
  })

  return {
    beginScrub: async () => {
      if (round !== undefined) throw new LifeboatError('busy', 'a scrub runs already: lifeboat vault status')
      scrub()
    },
    stopScrub: async () => {
      stoppedAt = clock.now()
      round?.stop.abort()
      await round?.ended
    },
    close: async () => {
      closing.abort()
      await loop.stop()
      await round?.ended
      await proof
    },
  }
}

async function look({ store, log }: ChoresOptions) {
  try {
    return await store.status()
  } catch (error) {
    log.warn('the vault cannot be looked at', { error: formatErrorChain(error) })
    return undefined
  }
}
