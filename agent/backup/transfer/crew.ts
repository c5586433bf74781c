import { LifeboatError } from '../../../shared/errors.ts'

/**
 * Pieces of work that run side by side and stand or fall together: the first that fails stops the others, by the
 * signal, and is what `whenDone` rejects with.
 */
export interface Crew {
  readonly signal: AbortSignal
  run(work: () => Promise<void>): void
  /** Runs them side by side and waits until each has ended, well or not; then rejects when the crew was stopped. */
  runAll(works: readonly (() => Promise<void>)[]): Promise<void>
  /** Waits for all work, also that which work begins. */
  whenDone(): Promise<void>
  /** The outside is no longer listened to. */
  end(): void
}

/** `outside` stops it from without: with `aborted`. */
export function createCrew(outside: AbortSignal): Crew {
  const stop = new AbortController()
  const under = new Set<Promise<void>>()
  const onAbort = (): void => stop.abort(new LifeboatError('aborted', 'stopped on request'))
  if (outside.aborted) onAbort()
  outside.addEventListener('abort', onAbort, { once: true })
  const start = (work: () => Promise<void>): Promise<void> => {
    const task = work().catch((error: unknown) => stop.abort(error))
    under.add(task)
    void task.finally(() => under.delete(task))
    return task
  }
  return {
    signal: stop.signal,
    run: work => void start(work),
    runAll: async works => {
      await Promise.all(works.map(start))
      stop.signal.throwIfAborted()
    },
    whenDone: async () => {
      while (under.size > 0) await Promise.all(under)
      stop.signal.throwIfAborted()
    },
    end: () => outside.removeEventListener('abort', onAbort),
  }
}
