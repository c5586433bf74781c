import { test } from 'node:test'
import fc from 'fast-check'

/** Properties over so many generated fleets: a test each, whose name has the seed with which it can be run again. */
export function over({ seed, runs }: { readonly seed: number; readonly runs: number }) {
  return <Value>(name: string, values: fc.Arbitrary<Value>, check: (value: Value) => void): void => {
    test(`${name} (seed ${seed}, ${runs} fleets)`, () => {
      fc.assert(fc.property(values, check), { seed, numRuns: runs })
    })
  }
}
