import { LifeboatError } from '../../shared/errors.ts'

/** What a test may do to the snapshots of a blade. */
export interface SimSnapshotKnobs {
  /** This kernel is on the known-bad list. */
  knownBadKernel: boolean
  /** Free room is too little for a thick snapshot. */
  noRoom: boolean
  /** The guests have an agent that can freeze their file systems. */
  guestAgent: boolean
  /** The next snapshot fails with this text while the guest is held. */
  failNextTake(text: string): void
  /** The next snapshot takes longer than the pause budget. */
  hangNextTake(): void
  /**
   * The next snapshot waits while the guest is held, until `release`. `reached` resolves when it does: the moment for a
   * test to kill the agent.
   */
  holdNextTake(): { readonly reached: Promise<void>; release(): void }
  /** Everything that is watched from now on is about to overflow. */
  overflow: boolean
  /** For the simulated snapshots: what is to happen now that the guest is held. */
  gate(): Promise<'go' | 'hang'>
}

/** Knobs in their rest position. */
export function createSimSnapshotKnobs(): SimSnapshotKnobs {
  let failure: string | undefined
  let hang = false
  let hold: { reached: PromiseWithResolvers<void>; released: PromiseWithResolvers<void> } | undefined
  return {
    knownBadKernel: false,
    noRoom: false,
    guestAgent: false,
    overflow: false,
    failNextTake(text) {
      failure = text
    },
    hangNextTake() {
      hang = true
    },
    holdNextTake() {
      const mine = { reached: Promise.withResolvers<void>(), released: Promise.withResolvers<void>() }
      hold = mine
      return {
        reached: mine.reached.promise,
        release: () => mine.released.resolve(),
      }
    },
    async gate() {
      const mine = hold
      // Only one is held up: whoever comes later is the next run.
      hold = undefined
      mine?.reached.resolve()
      await mine?.released.promise
      const [text, hangs] = [failure, hang]
      failure = undefined
      hang = false
      if (text !== undefined) throw new LifeboatError('command-failed', text)
      return hangs ? 'hang' : 'go'
    },
  }
}
