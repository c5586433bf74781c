/** Things lent one at a time: buffers, compressors, permits. What is not there is waited for, first come first served. */
export interface Pool<Item> {
  /** The next to take one would wait. */
  readonly isEmpty: boolean
  /** Rejects with the reason of the signal. */
  take(): Promise<Item>
  give(item: Item): void
}

export function createPool<Item>(items: readonly Item[], signal: AbortSignal): Pool<Item> {
  const free = [...items]
  let waiting: PromiseWithResolvers<Item>[] = []
  signal.addEventListener('abort', () => {
    for (const { reject } of waiting) reject(signal.reason)
    waiting = []
  })
  return {
    get isEmpty() {
      return free.length === 0
    },
    take: async () => {
      signal.throwIfAborted()
      const item = free.pop()
      if (item !== undefined) return item
      const turn = Promise.withResolvers<Item>()
      waiting.push(turn)
      return await turn.promise
    },
    give: item => {
      const next = waiting.shift()
      if (next === undefined) free.push(item)
      else next.resolve(item)
    },
  }
}
