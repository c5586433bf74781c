import { LifeboatError } from '../../../shared/errors.ts'

/** Indices below this limit fit into a number, LARGEST_SET of them. */
export const MOST_CANDIDATES = 1_000
const BASE = 1_024
const LARGEST_SET = 4

export interface CheapSet {
  /** Indices, ascending. The same array each time: read it before asking for the next. */
  readonly members: readonly number[]
  readonly cost: number
}

/**
 * Sets of up to `largest` members, the cheapest first: each next one is the cheapest that has not come yet; of equal
 * ones the smaller set, then the earlier members. `costs` are ascending and not negative. A set is reached from exactly
 * one other (its last member moved on by one, or one more member behind it), so a heap of those that could come next is
 * all that is kept. Half a million of them pass in a search: they are numbers in typed arrays, and no objects. Larger sets
 * than a number holds would be mistaken for one another: asking for them is a defect, and throws `internal`.
 */
export function* cheapestSets(costs: readonly number[], largest: number): Generator<CheapSet> {
  if (largest > LARGEST_SET || costs.length > MOST_CANDIDATES)
    throw new LifeboatError('internal', `sets of ${largest} out of ${costs.length} do not fit into a number`)
  const heap = createHeap()
  const members: number[] = []
  if (costs.length > 0 && largest > 0) heap.push(costs[0] as number, encode([0]))
  while (heap.size() > 0) {
    const cost = heap.leastCost()
    const code = heap.take()
    decode(code, members)
    yield { members, cost }
    const last = members.length - 1
    const index = members[last] as number
    if (index + 1 >= costs.length) continue
    const next = costs[index + 1] as number
    // The last member is the lowest digit but for the count: moving it on adds one, a further member shifts by one.
    heap.push(cost - (costs[index] as number) + next, code + BASE)
    if (members.length < largest) heap.push(cost + next, encode([...members, index + 1]))
  }
}

/**
 * Digits to the base, the count the lowest, the first member the highest: unique, and an order among equals. A member
 * counts from one, for a leading zero would let a larger set come before a smaller one.
 */
function encode(members: readonly number[]): number {
  let code = 0
  for (const member of members) code = code * BASE + member + 1
  return code * BASE + members.length
}

function decode(code: number, members: number[]): void {
  members.length = code % BASE
  let rest = Math.floor(code / BASE)
  for (let index = members.length - 1; index >= 0; index--) {
    members[index] = (rest % BASE) - 1
    rest = Math.floor(rest / BASE)
  }
}

/** A binary heap of costs, each with its code. */
function createHeap() {
  let costs = new Float64Array(1024)
  let codes = new Float64Array(1024)
  let count = 0
  const isBefore = (cost: number, code: number, at: number) => {
    const other = costs[at] as number
    return cost < other || (cost === other && code < (codes[at] as number))
  }
  const put = (at: number, cost: number, code: number) => {
    costs[at] = cost
    codes[at] = code
  }
  const copy = (from: number, to: number) => put(to, costs[from] as number, codes[from] as number)
  return {
    size: () => count,
    leastCost: () => costs[0] as number,
    push: (cost: number, code: number) => {
      if (count === costs.length) {
        costs = doubled(costs)
        codes = doubled(codes)
      }
      let at = count++
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!isBefore(cost, code, parent)) break
        copy(parent, at)
        at = parent
      }
      put(at, cost, code)
    },
    take: () => {
      const top = codes[0] as number
      count--
      const cost = costs[count] as number
      const code = codes[count] as number
      let at = 0
      for (;;) {
        let child = 2 * at + 1
        if (child >= count) break
        if (child + 1 < count && isBefore(costs[child + 1] as number, codes[child + 1] as number, child))
          child++
        if (isBefore(cost, code, child)) break
        copy(child, at)
        at = child
      }
      put(at, cost, code)
      return top
    },
  }
}

function doubled(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2)
  larger.set(array)
  return larger
}
