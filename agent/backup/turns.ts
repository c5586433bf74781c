import { LifeboatError } from '../../shared/errors.ts'

/** Whose turn it is to back up: one at a time on a blade, local and ordered alike. */
export interface Turns {
  /**
   * Resolves when it is this backup's turn, in the order of asking; at once when it has it already. The turn lasts
   * until `leave`. Throws `aborted` when the signal ends the wait.
   */
  take(backup: string, signal: AbortSignal): Promise<void>
  /** Idempotent, also for one that still waits. */
  leave(backup: string): void
}

/** In memory only: after a restart nobody has a turn, for a killed backup is undone before anything else begins. */
export function createTurns(): Turns {
  const queue: { readonly backup: string; readonly go: () => void }[] = []

  function leave(backup: string): void {
    const index = queue.findIndex(one => one.backup === backup)
    if (index === -1) return
    queue.splice(index, 1)
    if (index === 0) queue[0]?.go()
  }

  return {
    leave,
    take: async (backup, signal) => {
      if (queue[0]?.backup === backup) return
      const stopped = new LifeboatError('aborted', 'stopped waiting for another backup of this blade to end')
      if (signal.aborted) throw stopped
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      queue.push({ backup, go: resolve })
      if (queue.length === 1) return
      const onAbort = (): void => {
        leave(backup)
        reject(stopped)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}
