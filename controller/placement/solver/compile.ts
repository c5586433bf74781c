import type { VmView } from '../../fleet/snapshot.ts'
import type { Purpose } from '../filters.ts'
import { methodOf, vmObstacles } from '../movable.ts'
import { poolKey } from '../pools.ts'
import {
  isInMemory,
  isOpen,
  type PoolRoom,
  type Room,
  type Rooms,
  usableMemoryBytes,
  usableVcpus,
  usedMemoryBytes,
  usedVcpus,
  volumeNeeds,
} from '../room.ts'
import { NO_RULES, type PlacementRules, ruleOf, snapshotReserveBytes } from '../rules.ts'
import { copiedBytes, volumeBytesOf } from '../times.ts'
import { compileAllows } from './compile-allows.ts'
import { compileGroups } from './compile-groups.ts'
import { type Model, NOWHERE } from './model.ts'

export interface Compiled {
  readonly model: Model
  /** By index of the model. */
  readonly vms: readonly VmView[]
  readonly blades: readonly Room[]
  /** By `poolKey`: its dimension. */
  readonly pools: ReadonlyMap<string, number>
  indexOf(vmId: string): number
  nameOf(blade: number): string
}

export interface CompileOptions {
  /** `restore`: those that look for a place come from their restore points. */
  readonly purpose: Extract<Purpose, 'move' | 'restore'>
  /** The overhead of a move, as bytes that could have been copied in its time. */
  readonly overheadBytes: number
}

/** The dimensions; pools follow. */
export const MEMORY = 0
export const PLACES = 1
export const VCPUS = 2
const FIRST_POOL = 3
/** As good as endless, and yet a number to calculate with. */
const UNCHECKED = 2 ** 40

/** The fleet as the solver wants it. Rules that no other VM changes are asked of the filters themselves. */
export function compile(rooms: Rooms, vms: readonly VmView[], options: CompileOptions): Compiled {
  const blades = [...rooms.values()].sort((a, b) => (a.blade.name < b.blade.name ? -1 : 1))
  const inOrder = [...vms].sort((a, b) =>
    a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1,
  )
  const rules = blades[0]?.rules ?? NO_RULES
  const bladeIndex = new Map(blades.map((room, index) => [room.blade.name, index]))
  const pools = poolIndex(inOrder)
  const dims = FIRST_POOL + pools.size
  const need = new Float64Array(inOrder.length * dims)
  const gives = new Float64Array(inOrder.length * dims)
  for (const [index, vm] of inOrder.entries()) fillVm(vm, index * dims, need, gives, pools)
  const free = new Float64Array(blades.length * dims)
  for (const [index, room] of blades.entries()) fillRoom(room, index * dims, free, pools, rules)
  const groups = compileGroups(blades, inOrder, rules)
  const model: Model = {
    bladeCount: blades.length,
    vmCount: inOrder.length,
    dims,
    free,
    need,
    gives,
    at: Int32Array.from(inOrder, vm => bladeIndex.get(vm.blade) ?? NOWHERE),
    open: Uint8Array.from(blades, room => (isOpen(room.blade) ? 1 : 0)),
    movable: Uint8Array.from(inOrder, vm => (mayStepAside(vm, rooms, rules) ? 1 : 0)),
    work: Float64Array.from(inOrder, vm => workOf(vm) + options.overheadBytes),
    priority: Float64Array.from(inOrder, vm => ruleOf(rules, vm.name).priority),
    allows: compileAllows(blades, inOrder, options.purpose),
    ...groups,
  }
  const ids = new Map(inOrder.map((vm, index) => [vm.id, index]))
  return {
    model,
    vms: inOrder,
    blades,
    pools,
    indexOf: vmId => ids.get(vmId) ?? NOWHERE,
    nameOf: blade => (blades[blade] as Room).blade.name,
  }
}

function workOf(vm: VmView): number {
  return copiedBytes({ method: methodOf(vm), volumeBytes: volumeBytesOf(vm), memoryBytes: vm.memoryBytes })
}

function poolIndex(vms: readonly VmView[]): ReadonlyMap<string, number> {
  const index = new Map<string, number>()
  for (const vm of vms) {
    for (const volume of vm.volumes) {
      const key = poolKey(volume.storage, volume.pool)
      if (!index.has(key)) index.set(key, FIRST_POOL + index.size)
    }
  }
  return index
}

function fillVm(
  vm: VmView,
  row: number,
  need: Float64Array,
  gives: Float64Array,
  pools: ReadonlyMap<string, number>,
): void {
  const inMemory = isInMemory(vm)
  for (const target of [need, gives]) {
    target[row + MEMORY] = inMemory ? vm.memoryBytes : 0
    target[row + PLACES] = 1
    target[row + VCPUS] = inMemory ? vm.vcpus : 0
  }
  for (const { pool, storage, bytes } of volumeNeeds(vm))
    need[row + (pools.get(poolKey(storage, pool)) ?? 0)] = bytes
  for (const volume of vm.volumes) {
    const dim = row + (pools.get(poolKey(volume.storage, volume.pool)) ?? 0)
    gives[dim] = (gives[dim] as number) + Math.min(volume.allocatedBytes, volume.sizeBytes)
  }
}

function fillRoom(
  room: Room,
  row: number,
  free: Float64Array,
  pools: ReadonlyMap<string, number>,
  rules: PlacementRules,
): void {
  free[row + MEMORY] = usableMemoryBytes(room) - usedMemoryBytes(room)
  free[row + PLACES] = room.blade.maxVms - room.vms.size
  free[row + VCPUS] = Math.min(UNCHECKED, usableVcpus(room)) - usedVcpus(room)
  for (const pool of room.pools) {
    const dim = pools.get(poolKey(pool.storage, pool.name))
    if (dim !== undefined) free[row + dim] = roomFor(pool, room.pools, rules)
  }
}

function roomFor(pool: PoolRoom, pools: readonly PoolRoom[], rules: PlacementRules): number {
  return pool.availableBytes - snapshotReserveBytes(rules, pool, pools)
}

/** In a plan nobody else is asked who has a word of his own about being moved. */
function mayStepAside(vm: VmView, rooms: Rooms, rules: PlacementRules): boolean {
  if (rooms.get(vm.blade)?.blade.liveness !== 'up' || methodOf(vm) === undefined) return false
  const policies = Object.values(ruleOf(rules, vm.name).evacuate)
  return policies.every(policy => policy === 'live') && vmObstacles(vm, 'move').length === 0
}
