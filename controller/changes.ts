/** Who watches what: operations by id. In memory only; a watcher that reconnects reads the state first. */
export interface Changes {
  emit(id: string): void
  /** Returns the stop function. */
  subscribe(id: string, onChange: () => void): () => void
}

/** A listener that was stopped during an `emit` may be called once more. */
export function createChanges(): Changes {
  const listeners = new Map<string, Set<() => void>>()
  return {
    emit: id => {
      for (const listener of [...(listeners.get(id) ?? [])]) listener()
    },
    subscribe: (id, onChange) => {
      const set = listeners.get(id) ?? new Set()
      listeners.set(id, set)
      set.add(onChange)
      return () => {
        set.delete(onChange)
        if (set.size === 0) listeners.delete(id)
      }
    },
  }
}
