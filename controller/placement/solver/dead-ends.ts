const SLOTS = 1 << 16

/** Situations that led nowhere. It may forget one for another, which costs a second look and no more. */
export interface DeadEnds {
  has(key: number): boolean
  add(key: number): void
  /** Forgets all; nothing is touched for it. */
  clear(): void
}

/** A table of numbers of 53 bits, each in the one slot it may have: a Set of them is ten times as slow. */
export function createDeadEnds(): DeadEnds {
  // Most searches end before they remember anything.
  let keys = new Float64Array(0)
  let generations = new Int32Array(0)
  let generation = 1
  const slotOf = (key: number) => key % SLOTS
  return {
    has: key => keys[slotOf(key)] === key && generations[slotOf(key)] === generation,
    add: key => {
      if (keys.length === 0) {
        keys = new Float64Array(SLOTS)
        generations = new Int32Array(SLOTS)
      }
      keys[slotOf(key)] = key
      generations[slotOf(key)] = generation
    },
    clear: () => {
      generation++
    },
  }
}
