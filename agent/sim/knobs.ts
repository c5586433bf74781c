import { LifeboatError } from '../../shared/errors.ts'

/** What a test may do to the migrations that leave a blade. */
export interface SimKnobs {
  /** 0: as fast as it goes. */
  bytesPerSecond: number
  /** Guests have an agent that answers. Default: none has. */
  guestsAnswer: boolean
  /** Isolated guests print on their console while they run. */
  guestsBoot: boolean
  /** The next migration breaks when its disks are copied, with this text. */
  failNextMigration(text: string): void
  /** The next migration reaches the target whole, and its last answer is lost on the way back. */
  loseNextFinish(): void
  /**
   * Migrations wait when their disks are copied, until `release` or their abort. `reached` resolves with the VM's name
   * when the first one waits: the moment for a test to kill something in the middle of a move.
   */
  holdMigrations(): { readonly reached: Promise<string>; release(): void }
  takeLostFinish(): boolean
  gate(vmName: string, signal: AbortSignal): Promise<void>
}

/** Knobs in their rest position. */
export function createSimKnobs(): SimKnobs {
  let failure: string | undefined
  let lostFinish = false
  let hold: { reached: PromiseWithResolvers<string>; released: PromiseWithResolvers<void> } | undefined

  return {
    bytesPerSecond: 0,
    guestsAnswer: false,
    guestsBoot: true,
    failNextMigration(text) {
      failure = text
    },
    loseNextFinish() {
      lostFinish = true
    },
    holdMigrations() {
      const mine = { reached: Promise.withResolvers<string>(), released: Promise.withResolvers<void>() }
      hold = mine
      return {
        reached: mine.reached.promise,
        release: () => {
          if (hold === mine) hold = undefined
          mine.released.resolve()
        },
      }
    },
    takeLostFinish() {
      const lost = lostFinish
      lostFinish = false
      return lost
    },
    async gate(vmName, signal) {
      if (failure !== undefined) {
        const text = failure
        failure = undefined
        throw new LifeboatError('command-failed', text)
      }
      if (hold === undefined) return
      hold.reached.resolve(vmName)
      const aborted = Promise.withResolvers<void>()
      const onAbort = () => aborted.resolve()
      if (signal.aborted) onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      await Promise.race([hold.released.promise, aborted.promise])
      signal.removeEventListener('abort', onAbort)
    },
  }
}
