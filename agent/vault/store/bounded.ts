/**
 * Acts on every item, at most `width` at a time, in their order of beginning. The first error ends it: what has begun is
 * awaited, nothing more begins.
 */
export async function eachBounded<T>(
  items: Iterable<T>,
  width: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  let failed = false
  const lane = async (): Promise<void> => {
    for (let next = rest.next(); !failed && !next.done; next = rest.next()) {
      try {
        await act(next.value)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: width }, lane))
  const first = lanes.find(result => result.status === 'rejected')
  if (first !== undefined) throw first.reason
}

/** One after the other, in the order asked for; an error of one is its caller's and stops nobody behind it. */
export interface Queue {
  run<T>(act: () => Promise<T>): Promise<T>
}

export function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run: act => {
      const mine = last.then(act, act)
      last = mine.catch(() => {})
      return mine
    },
  }
}
