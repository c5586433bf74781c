import type { Cluster } from './placement-clusters.ts'

/**
 * Exact answers for small clusters, in the simplest words and without a line of the product: what cannot be found here
 * is not there. A VM moves once at most. A move needs its room at the target before it gives any at the source.
 */
export interface ExactAnswer {
  /** Moves of the evacuated VMs alone are enough. */
  readonly isDirect: boolean
  /**
   * The VMs that step aside first, in an order in which each step has its room: those with the fewest bytes. Empty
   * when direct; undefined when no set of at most `maxExtra` will do, or the search was given up.
   */
  readonly steps: readonly Step[] | undefined
  readonly extraBytesMib: number
  /** The search limit was reached: "undefined" means nothing then. */
  readonly isGivenUp: boolean
}

export interface Step {
  readonly vm: string
  readonly to: string
}

export interface ExactLimits {
  /** Default 4. */
  readonly maxExtra?: number
  /** VMs a blade may have. Default: no limit. */
  readonly maxVms?: number
  /** States looked at. Default 300 million. */
  readonly maxStates?: number
}

interface Item {
  readonly name: string
  /** Index of its blade; -1 when that is drained. */
  readonly home: number
  /** Memory, disk, one place; in units, so that every number is small and whole. */
  readonly need: readonly number[]
  readonly bytesMib: number
}

/** What is free on one blade, in the dimensions of `Item.need`. */
type Room = readonly number[]

interface Search {
  readonly names: readonly string[]
  readonly evacuated: readonly Item[]
  /** Rooms the evacuated VMs do not fit in, sorted: all blades are the same to them. */
  readonly refused: Set<string>
  statesLeft: number
}

/** What one move costs: with it go the disks and, since it runs, the memory. */
export function bytesOf(vm: { readonly memoryMib: number; readonly diskMib: number }): number {
  return vm.memoryMib + vm.diskMib
}

/** Can the drained blades be emptied, and what is the least that must step aside for it? */
export function solveExactly(cluster: Cluster, limits: ExactLimits = {}): ExactAnswer {
  const { search, rooms, others } = prepare(cluster, limits)
  if (fits(search, rooms)) return { isDirect: true, steps: [], extraBytesMib: 0, isGivenUp: false }
  for (const set of setsByCost(others, limits.maxExtra ?? 4)) {
    const steps = stepAside(search, set, rooms)
    if (search.statesLeft <= 0) break
    if (steps !== undefined) return { isDirect: false, steps, extraBytesMib: costOf(set), isGivenUp: false }
  }
  return { isDirect: false, steps: undefined, extraBytesMib: 0, isGivenUp: search.statesLeft <= 0 }
}

function prepare(cluster: Cluster, limits: ExactLimits) {
  const survivors = cluster.blades.filter(blade => !blade.isDrained)
  const index = new Map(survivors.map((blade, at) => [blade.name, at]))
  const units = [
    cluster.vms.reduce((so, vm) => gcd(so, vm.memoryMib), 0) || 1,
    cluster.vms.reduce((so, vm) => gcd(so, vm.diskMib), 0) || 1,
    1,
  ]
  const items = cluster.vms.map(vm => ({
    name: vm.name,
    home: index.get(vm.blade) ?? -1,
    need: [vm.memoryMib, vm.diskMib, 1].map((size, dim) => size / (units[dim] ?? 1)),
    bytesMib: bytesOf(vm),
  }))
  const rooms = survivors.map((blade, at): Room => {
    const whole = [blade.memoryMib - blade.hostMemoryMib, blade.diskMib, limits.maxVms ?? 10_000]
    // What is left below a unit is lost to everybody.
    const inUnits = whole.map((size, dim) => Math.floor(size / (units[dim] ?? 1)))
    return items.filter(item => item.home === at).reduce(less, inUnits)
  })
  const search: Search = {
    names: survivors.map(blade => blade.name),
    evacuated: largestFirst(
      items.filter(item => item.home < 0),
      rooms,
    ),
    refused: new Set(),
    statesLeft: limits.maxStates ?? 300_000_000,
  }
  return { search, rooms, others: items.filter(item => item.home >= 0) }
}

/**
 * Sends the VMs of the set to every combination of other blades; where the evacuated ones then fit and the steps have
 * an order, that is an answer.
 */
function stepAside(search: Search, set: readonly Item[], rooms: readonly Room[]): Step[] | undefined {
  const left = rooms.map((room, at) => set.filter(item => item.home === at).reduce(more, room))
  // Not even if they vanished.
  if (!fits(search, left)) return undefined
  const targets: number[] = []
  const choose = (at: number, now: readonly Room[]): Step[] | undefined => {
    const item = set[at]
    if (item === undefined) return fits(search, now) ? inOrder(search, set, targets, rooms) : undefined
    for (let to = 0; to < now.length; to++) {
      if (to === item.home || search.statesLeft-- <= 0 || !hasRoom(now[to], item)) continue
      targets[at] = to
      const found = choose(
        at + 1,
        now.map((room, index) => (index === to ? less(room, item) : room)),
      )
      if (found !== undefined) return found
    }
    return undefined
  }
  return choose(0, left)
}

/** An order in which every step finds its room before it gives up its own. */
function inOrder(
  search: Search,
  set: readonly Item[],
  targets: readonly number[],
  rooms: readonly Room[],
): Step[] | undefined {
  if (set.length === 0) return []
  for (const [at, item] of set.entries()) {
    const to = targets[at] ?? -1
    if (!hasRoom(rooms[to], item)) continue
    const next = rooms.map((room, index) =>
      index === to ? less(room, item) : index === item.home ? more(room, item) : room,
    )
    const without = <Value>(list: readonly Value[]) => list.filter((_, index) => index !== at)
    const rest = inOrder(search, without(set), without(targets), next)
    if (rest !== undefined) return [{ vm: item.name, to: search.names[to] ?? '' }, ...rest]
  }
  return undefined
}

/**
 * Do the evacuated VMs fit? Their own moves need no order and may come last: they give no room to any survivor, and
 * what fits in the end fits on the way.
 */
function fits(search: Search, rooms: readonly Room[]): boolean {
  const codes = Float64Array.from(
    rooms,
    ([memory = 0, disk = 0, places = 0]) => (memory * 8192 + disk) * 16384 + places,
  )
  const key = codes.sort().join()
  if (search.refused.has(key)) return false
  const found = pack(
    search,
    0,
    rooms.map(room => [...room]),
  )
  if (!found && search.statesLeft > 0) search.refused.add(key)
  return found
}

function pack(search: Search, at: number, free: number[][]): boolean {
  const item = search.evacuated[at]
  if (item === undefined) return true
  if (search.statesLeft-- <= 0 || isHopeless(search.evacuated, at, free)) return false
  for (const [index, room] of free.entries()) {
    if (!hasRoom(room, item)) continue
    // A blade like one before it has nothing new to say.
    if (free.some((other, before) => before < index && isSame(other, room))) continue
    for (let dim = 0; dim < room.length; dim++) room[dim] = (room[dim] ?? 0) - (item.need[dim] ?? 0)
    const found = pack(search, at + 1, free)
    for (let dim = 0; dim < room.length; dim++) room[dim] = (room[dim] ?? 0) + (item.need[dim] ?? 0)
    if (found) return true
  }
  return false
}

/** More is to be placed than there is on all blades that could take any of it. */
function isHopeless(items: readonly Item[], from: number, free: readonly Room[]): boolean {
  for (let dim = 0; dim < 3; dim++) {
    let wanted = 0
    let smallest = Number.POSITIVE_INFINITY
    for (let at = from; at < items.length; at++) {
      const need = items[at]?.need[dim] ?? 0
      wanted += need
      if (need < smallest) smallest = need
    }
    let there = 0
    for (const room of free) if ((room[dim] ?? 0) >= smallest) there += room[dim] ?? 0
    if (wanted > there) return true
  }
  return false
}

function isSame(a: Room, b: Room): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2]
}

function hasRoom(room: Room | undefined, { need }: Item): boolean {
  if (room === undefined) return false
  return (
    (need[0] ?? 0) <= (room[0] ?? 0) && (need[1] ?? 0) <= (room[1] ?? 0) && (need[2] ?? 0) <= (room[2] ?? 0)
  )
}

function less(room: Room, item: Item): Room {
  return room.map((value, dim) => value - (item.need[dim] ?? 0))
}

function more(room: Room, item: Item): Room {
  return room.map((value, dim) => value + (item.need[dim] ?? 0))
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}

/** By the dimension in which they are largest against what is free in all. */
function largestFirst(items: readonly Item[], rooms: readonly Room[]): Item[] {
  const total = [0, 1, 2].map(dim => rooms.reduce((sum, room) => sum + (room[dim] ?? 0), 0) || 1)
  const weight = (item: Item) => Math.max(...item.need.map((need, dim) => need / (total[dim] ?? 1)))
  return [...items].sort((a, b) => weight(b) - weight(a))
}

/** All sets of one to `most` VMs, cheapest first. */
function setsByCost(items: readonly Item[], most: number): Item[][] {
  const sets: { readonly set: Item[]; readonly cost: number }[] = []
  const grow = (set: readonly Item[], cost: number, from: number) => {
    for (let at = from; at < items.length; at++) {
      const item = items[at] as Item
      const next = { set: [...set, item], cost: cost + item.bytesMib }
      sets.push(next)
      if (next.set.length < most) grow(next.set, next.cost, at + 1)
    }
  }
  grow([], 0, 0)
  return sets.sort((a, b) => a.cost - b.cost || a.set.length - b.set.length).map(each => each.set)
}

function costOf(set: readonly Item[]): number {
  return set.reduce((sum, item) => sum + item.bytesMib, 0)
}
