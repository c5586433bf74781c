import type { BenchVm, Cluster } from './placement-clusters.ts'
import { bytesOf } from './placement-exact.ts'

/** One move of anybody's plan. `needs`: VMs whose moves end before this one begins. */
export interface ReplayMove {
  readonly vm: string
  readonly to: string
  readonly needs: readonly string[]
}

export interface Replayed {
  /** Each drained blade is empty at the end. */
  readonly isEmptied: boolean
  /** What was broken on the way, in words; empty: every state was legal. */
  readonly broken: readonly string[]
  readonly bytesMib: number
}

interface Use {
  memoryMib: number
  diskMib: number
  vms: number
}

/**
 * Carries out a plan move by move, in its own words: a VM is at both ends while it moves, so the target must have the
 * room before the source gives any. With `everyOrder`, each order that keeps to `needs` must be legal too.
 */
export function replay(
  cluster: Cluster,
  moves: readonly ReplayMove[],
  options: { readonly maxVms?: number; readonly everyOrder?: boolean } = {},
): Replayed {
  const broken: string[] = []
  const vms = new Map(cluster.vms.map(vm => [vm.name, vm]))
  const at = new Map(cluster.vms.map(vm => [vm.name, vm.blade]))
  const blades = new Map(cluster.blades.map(blade => [blade.name, blade]))
  const used = usedBy(cluster)
  const done = new Set<string>()
  let bytesMib = 0
  for (const move of moves) {
    const vm = vms.get(move.vm)
    const blade = blades.get(move.to)
    const target = used.get(move.to)
    if (vm === undefined || blade === undefined || target === undefined) {
      broken.push(`${move.vm} or ${move.to} is made up`)
      continue
    }
    if (blade.isDrained) broken.push(`${move.vm} goes to ${move.to}, which is drained`)
    if (at.get(vm.name) === move.to) broken.push(`${move.vm} is on ${move.to} already`)
    for (const need of move.needs) if (!done.has(need)) broken.push(`${move.vm} is before ${need}`)
    take(target, vm, 1)
    broken.push(...overfull(blade, target, options.maxVms).map(what => `${move.vm} to ${move.to}: ${what}`))
    take(used.get(at.get(vm.name) ?? '') ?? nothing(), vm, -1)
    at.set(vm.name, move.to)
    done.add(vm.name)
    bytesMib += bytesOf(vm)
  }
  if (options.everyOrder === true) broken.push(...worstOrders(cluster, moves, options.maxVms))
  const drained = new Set(cluster.blades.filter(blade => blade.isDrained).map(blade => blade.name))
  return { isEmptied: ![...at.values()].some(blade => drained.has(blade)), broken, bytesMib }
}

/** More arrivals than these on one blade and their combinations are too many: the longest such check takes seconds. */
const MOST_COMBINED = 12

/**
 * For each move the worst moment at which it may begin: any of the others to the same blade have begun that do not wait
 * for it, and nothing has left that blade but what these had to wait for.
 */
function worstOrders(cluster: Cluster, moves: readonly ReplayMove[], maxVms: number | undefined): string[] {
  const broken: string[] = []
  const vms = new Map(cluster.vms.map(vm => [vm.name, vm]))
  const byVm = new Map(moves.map(move => [move.vm, move]))
  const before = new Map<string, ReadonlySet<string>>()
  const beforeOf = (vm: string): ReadonlySet<string> => {
    const known = before.get(vm)
    if (known !== undefined) return known
    const all = new Set<string>()
    before.set(vm, all)
    for (const need of byVm.get(vm)?.needs ?? []) for (const each of [need, ...beforeOf(need)]) all.add(each)
    return all
  }
  const used = usedBy(cluster)
  for (const move of moves) {
    const blade = cluster.blades.find(each => each.name === move.to)
    if (blade === undefined) continue
    const others = moves.filter(
      other =>
        other.to === move.to &&
        other !== move &&
        !beforeOf(other.vm).has(move.vm) &&
        !beforeOf(move.vm).has(other.vm),
    )
    if (others.length > MOST_COMBINED) continue
    for (let chosen = 0; chosen < 1 << others.length; chosen++) {
      const begun = [move, ...others.filter((_, index) => (chosen & (1 << index)) !== 0)].map(each => each.vm)
      const ended = new Set(begun.flatMap(vm => [...beforeOf(vm)]))
      const use = { ...(used.get(move.to) ?? nothing()) }
      for (const name of new Set([...begun, ...ended])) {
        const vm = vms.get(name)
        if (vm === undefined) continue
        if (byVm.get(name)?.to === move.to) take(use, vm, 1)
        if (ended.has(name) && vm.blade === move.to) take(use, vm, -1)
      }
      const what = overfull(blade, use, maxVms)[0]
      if (what === undefined) continue
      broken.push(`${move.vm} to ${move.to}, beside ${begun.slice(1).join(', ') || 'nothing'}: ${what}`)
      break
    }
  }
  return broken
}

function overfull(
  blade: Cluster['blades'][number],
  use: Readonly<Use>,
  maxVms = Number.POSITIVE_INFINITY,
): string[] {
  return [
    ...(use.memoryMib > blade.memoryMib - blade.hostMemoryMib ? [`${use.memoryMib} MiB of memory`] : []),
    ...(use.diskMib > blade.diskMib ? [`${use.diskMib} MiB of disk`] : []),
    ...(use.vms > maxVms ? [`${use.vms} VMs`] : []),
  ]
}

function usedBy(cluster: Cluster): Map<string, Use> {
  const used = new Map(cluster.blades.map(blade => [blade.name, nothing()]))
  for (const vm of cluster.vms) take(used.get(vm.blade) ?? nothing(), vm, 1)
  return used
}

function nothing(): Use {
  return { memoryMib: 0, diskMib: 0, vms: 0 }
}

function take(use: Use, vm: BenchVm, sign: 1 | -1): void {
  use.memoryMib += sign * vm.memoryMib
  use.diskMib += sign * vm.diskMib
  use.vms += sign
}
