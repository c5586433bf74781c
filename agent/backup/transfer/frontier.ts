/**
 * How far a disk is written without a gap, though its parts are not done in their order: what lies before it may be
 * read back while the rest is still being written.
 */
export interface Frontier {
  /** Bytes from the beginning of the disk. */
  readonly reachedBytes: number
  /** The next part, up to `endBytes`, is about to be written; what comes back is called when it is. */
  begin(endBytes: number): () => void
  /** Waits until all up to there is written. Rejects with the reason of the signal. */
  reach(bytes: number): Promise<void>
}

export function createFrontier(signal: AbortSignal): Frontier {
  let reachedBytes = 0
  const parts: { readonly endBytes: number; isDone: boolean }[] = []
  let waiting: { readonly bytes: number; readonly turn: PromiseWithResolvers<void> }[] = []
  signal.addEventListener('abort', () => {
    for (const { turn } of waiting) turn.reject(signal.reason)
    waiting = []
  })
  const advance = (): void => {
    while (parts[0]?.isDone) reachedBytes = parts.shift()?.endBytes ?? reachedBytes
    const ready = waiting.filter(({ bytes }) => bytes <= reachedBytes)
    waiting = waiting.filter(({ bytes }) => bytes > reachedBytes)
    for (const { turn } of ready) turn.resolve()
  }
  return {
    get reachedBytes() {
      return reachedBytes
    },
    begin: endBytes => {
      const part = { endBytes, isDone: false }
      parts.push(part)
      return () => {
        part.isDone = true
        advance()
      }
    },
    reach: async bytes => {
      signal.throwIfAborted()
      if (bytes <= reachedBytes) return
      const turn = Promise.withResolvers<void>()
      waiting.push({ bytes, turn })
      await turn.promise
    },
  }
}
