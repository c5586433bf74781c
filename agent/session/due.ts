/**
 * When is what to be said? A small table of times; pure but for its own memory, `now` comes from the caller.
 */
export interface DueTable {
  /** To be said at `at`, or earlier if it already was to be. */
  set(key: string, at: number): void
  /** Takes out everything that is due, in the order it was set. */
  take(now: number): readonly string[]
  /** Time of the next one; undefined when nothing waits. */
  next(): number | undefined
  clear(): void
}

/** An empty table; times are epoch ms. */
export function createDueTable(): DueTable {
  const times = new Map<string, number>()
  return {
    set: (key, at) => times.set(key, Math.min(at, times.get(key) ?? at)) && undefined,
    take: now => {
      const due = [...times].filter(([, at]) => at <= now).map(([key]) => key)
      for (const key of due) times.delete(key)
      return due
    },
    next: () => (times.size === 0 ? undefined : Math.min(...times.values())),
    clear: () => times.clear(),
  }
}
