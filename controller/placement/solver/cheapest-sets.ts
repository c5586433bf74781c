interface Set {
  /** Indices, ascending. */
  readonly members: readonly number[]
  readonly cost: number
}

/**
 * Sets of up to `largest` members, the cheapest first: each next one is the cheapest that has not come yet. `costs` are
 * ascending and not negative. A set is reached from exactly one other (its last member moved on by one, or one more
 * member behind it), so a heap of those that could come next is all that is kept.
 */
export function* cheapestSets(costs: readonly number[], largest: number): Generator<Set> {
  const heap: Set[] = []
  const cost = (index: number) => costs[index] as number
  const push = (members: readonly number[], total: number) => {
    if ((members.at(-1) as number) < costs.length) insert(heap, { members, cost: total })
  }
  if (costs.length > 0 && largest > 0) push([0], cost(0))
  for (;;) {
    const next = take(heap)
    if (next === undefined) return
    yield next
    const last = next.members.at(-1) as number
    if (last + 1 >= costs.length) continue
    push([...next.members.slice(0, -1), last + 1], next.cost - cost(last) + cost(last + 1))
    if (next.members.length < largest) push([...next.members, last + 1], next.cost + cost(last + 1))
  }
}

/** Cheaper first, then fewer, then by members: an order without a tie. */
function before(one: Set, other: Set): boolean {
  if (one.cost !== other.cost) return one.cost < other.cost
  if (one.members.length !== other.members.length) return one.members.length < other.members.length
  for (const [index, member] of one.members.entries()) {
    const theirs = other.members[index] as number
    if (member !== theirs) return member < theirs
  }
  return false
}

function insert(heap: Set[], item: Set): void {
  let at = heap.length
  heap.push(item)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!before(item, heap[parent] as Set)) break
    heap[at] = heap[parent] as Set
    at = parent
  }
  heap[at] = item
}

function take(heap: Set[]): Set | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (top === undefined || last === undefined || heap.length === 0) return top
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1] as Set, heap[child] as Set)) child++
    if (!before(heap[child] as Set, last)) break
    heap[at] = heap[child] as Set
    at = child
  }
  heap[at] = last
  return top
}
