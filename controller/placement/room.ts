import type { StoragePool } from '../../shared/domain/fleet.ts'
import type { BladeView, FleetSnapshot, Reservation, VmView } from '../fleet/snapshot.ts'
import { poolKey, writtenBytes } from './pools.ts'
import type { PlacementRules } from './rules.ts'

/**
 * What a blade has left. Immutable: the planner makes a new one after each move it writes down, so that every later
 * choice sees the earlier ones.
 */
export interface Room {
  readonly blade: BladeView
  /** VMs on it, whatever their state, and those that are to come (reservations). By id, with their names. */
  readonly vms: ReadonlyMap<string, RoomVm>
  /** By pool name and kind: free and reclaimable room, less what is promised. */
  readonly pools: readonly PoolRoom[]
  /** Those of the fleet: each room has them, so that whoever is asked about one can say what they mean there. */
  readonly rules: PlacementRules
}

/** One VM's share of the room. */
export interface RoomVm {
  readonly name: string
  /** 0 when it is not in memory. */
  readonly memoryBytes: number
  /** 0 when it is not in memory. */
  readonly vcpus: number
  readonly paths: readonly string[]
  /** Only promised: its volumes are already taken off `pools`, by these amounts. */
  readonly promised: readonly VolumeNeed[]
}

export interface VolumeNeed {
  readonly pool: string
  readonly storage: string
  readonly bytes: number
}

export interface PoolRoom extends StoragePool {
  /** free + reclaimable - promised */
  readonly availableBytes: number
}

export type Rooms = ReadonlyMap<string, Room>

/** Room of every blade, by name. */
export function roomsOf(snapshot: FleetSnapshot): Rooms {
  const byBlade = new Map<string, VmView[]>()
  for (const vm of snapshot.vms) {
    const list = byBlade.get(vm.blade)
    if (list === undefined) byBlade.set(vm.blade, [vm])
    else list.push(vm)
  }
  return new Map(
    snapshot.blades.map(blade => [blade.name, roomOf(blade, byBlade.get(blade.name) ?? [], snapshot.rules)]),
  )
}

function roomOf(blade: BladeView, present: readonly VmView[], rules: PlacementRules): Room {
  const vms = new Map<string, RoomVm>()
  for (const vm of present) {
    vms.set(vm.id, presentVm(vm, []))
  }
  let pools: readonly PoolRoom[] = (blade.capacity?.pools ?? []).map(pool => ({
    ...pool,
    availableBytes: pool.freeBytes + pool.reclaimableBytes,
  }))
  for (const reservation of blade.reservations) {
    // Once the blade reports the VM as its own, the report has the truth and the promise would count it twice.
    if (vms.has(reservation.vmId)) continue
    vms.set(reservation.vmId, promisedVm(reservation))
    pools = takeFrom(pools, reservation.volumes)
  }
  return { blade, vms, pools, rules }
}

function presentVm(vm: VmView, promised: readonly VolumeNeed[]): RoomVm {
  const inMemory = isInMemory(vm)
  return {
    name: vm.name,
    memoryBytes: inMemory ? vm.memoryBytes : 0,
    vcpus: inMemory ? vm.vcpus : 0,
    paths: vm.volumes.map(volume => volume.path),
    promised,
  }
}

function promisedVm(reservation: Reservation): RoomVm {
  return {
    name: reservation.vmName,
    memoryBytes: reservation.memoryBytes,
    vcpus: reservation.vcpus ?? 0,
    paths: [],
    promised: reservation.volumes,
  }
}

/** Takes newcomers, as far as no VM is asked about. */
export function isOpen(blade: BladeView): boolean {
  return (
    blade.liveness === 'up' &&
    blade.admin === 'in-service' &&
    blade.health === 'healthy' &&
    blade.capacity !== undefined
  )
}

/**
 * Not known counts as there (unknown, lost): the memory of a VM that may run is not free. Crashed and stopped ones
 * need none; their volumes and their place among the VMs count all the same.
 */
export function isInMemory(vm: Pick<VmView, 'state' | 'starting'>): boolean {
  return vm.starting === true || (vm.state !== 'stopped' && vm.state !== 'crashed')
}

/** Memory VMs may use, in bytes. */
export function usableMemoryBytes(room: Room): number {
  const capacity = room.blade.capacity
  return capacity === undefined ? 0 : Math.max(0, capacity.memoryBytes - capacity.reservedMemoryBytes)
}

/** Memory of VMs that are there or promised, in bytes; `exceptVmId` is left out. */
export function usedMemoryBytes(room: Room, exceptVmId = ''): number {
  let sum = 0
  for (const [id, vm] of room.vms) if (id !== exceptVmId) sum += vm.memoryBytes
  return sum
}

/** Memory left for newcomers, in bytes; negative where more is taken than there is. */
export function freeMemoryBytes(room: Room): number {
  return usableMemoryBytes(room) - usedMemoryBytes(room)
}

/** vCPUs that VMs in memory may have in all; without end where it is not checked, or the CPUs are not known. */
export function usableVcpus({ blade, rules }: Room): number {
  const cpus = blade.capacity?.cpus ?? 0
  return rules.vcpuRatio === 0 || cpus === 0 ? Number.POSITIVE_INFINITY : Math.floor(cpus * rules.vcpuRatio)
}

/** vCPUs of VMs that are there or promised; `exceptVmId` is left out. */
export function usedVcpus(room: Room, exceptVmId = ''): number {
  let sum = 0
  for (const [id, vm] of room.vms) if (id !== exceptVmId) sum += vm.vcpus
  return sum
}

/**
 * Room the volumes of a VM need in each pool. The whole size, not what is allocated now: a thin volume or a qcow2 file
 * may fill up later, and a copy may arrive with its zeroes written out. Refusing too early is repaired by a person in a
 * minute; a full thin pool stops every VM in it.
 */
export function volumeNeeds(vm: VmView): VolumeNeed[] {
  const needs = new Map<string, VolumeNeed>()
  for (const { pool, storage, sizeBytes } of vm.volumes) {
    const key = poolKey(storage, pool)
    needs.set(key, { pool, storage, bytes: (needs.get(key)?.bytes ?? 0) + sizeBytes })
  }
  return [...needs.values()].sort((a, b) =>
    a.pool < b.pool ? -1 : a.pool > b.pool ? 1 : a.storage < b.storage ? -1 : 1,
  )
}

/** The room as it is if no volume that was kept after a move is dropped for more of it (rule 3). */
export function sparingKept(room: Room): Room {
  const pools = room.pools.map(pool => ({
    ...pool,
    reclaimableBytes: 0,
    availableBytes: pool.availableBytes - pool.reclaimableBytes,
  }))
  return { ...room, pools }
}

/** The pool of that name and kind. */
export function findPool(room: Room, need: VolumeNeed): PoolRoom | undefined {
  return room.pools.find(pool => pool.name === need.pool && pool.storage === need.storage)
}

/** Available room of a pool for one VM: what is promised to that very VM is not in its way. */
export function availableFor(room: Room, pool: PoolRoom, vmId: string): number {
  const own = (room.vms.get(vmId)?.promised ?? []).filter(need => isOf(need, pool))
  return pool.availableBytes + own.reduce((sum, need) => sum + need.bytes, 0)
}

/**
 * The rooms after a move. At the source the volumes become reclaimable: they stay for their grace time unless the room
 * is needed (rule 3). Only what they really occupy comes back, at the target their whole size is taken.
 */
export function afterMove(rooms: Rooms, vm: VmView, to: string): Rooms {
  const next = new Map(rooms)
  const source = rooms.get(vm.blade)
  if (source !== undefined) {
    const left = new Map(source.vms)
    left.delete(vm.id)
    next.set(vm.blade, { ...source, vms: left, pools: source.pools.map(pool => withKept(pool, vm)) })
  }
  const target = rooms.get(to)
  if (target !== undefined) next.set(to, withArrival(target, vm))
  return next
}

/** The room when the VM has arrived there. What was promised to that very VM is not taken twice. */
export function withArrival(room: Room, vm: VmView): Room {
  const vms = new Map(room.vms)
  const already = vms.get(vm.id)?.promised ?? []
  const needs = volumeNeeds(vm)
  vms.set(vm.id, presentVm(vm, needs))
  return { ...room, vms, pools: takeFrom(giveBack(room.pools, already), needs) }
}

/** The rooms without what is promised to these VMs on blades that are not their own. */
export function withoutPromises(rooms: Rooms, vms: readonly VmView[]): Rooms {
  const next = new Map(rooms)
  for (const [name, room] of rooms) {
    for (const vm of vms) {
      const left = next.get(name) ?? room
      const there = left.vms.get(vm.id)
      if (there === undefined || vm.blade === name) continue
      const others = new Map(left.vms)
      others.delete(vm.id)
      next.set(name, { ...left, vms: others, pools: giveBack(left.pools, there.promised) })
    }
  }
  return next
}

function takeFrom(pools: readonly PoolRoom[], needs: readonly VolumeNeed[]): readonly PoolRoom[] {
  return pools.map(pool => ({ ...pool, availableBytes: pool.availableBytes - sumFor(pool, needs) }))
}

function withKept(pool: PoolRoom, vm: VmView): PoolRoom {
  const kept = writtenBytes(vm, pool)
  return {
    ...pool,
    reclaimableBytes: pool.reclaimableBytes + kept,
    availableBytes: pool.availableBytes + kept,
  }
}

function giveBack(pools: readonly PoolRoom[], needs: readonly VolumeNeed[]): readonly PoolRoom[] {
  return pools.map(pool => ({ ...pool, availableBytes: pool.availableBytes + sumFor(pool, needs) }))
}

function sumFor(pool: PoolRoom, needs: readonly VolumeNeed[]): number {
  return needs.reduce((sum, need) => (isOf(need, pool) ? sum + need.bytes : sum), 0)
}

function isOf(need: VolumeNeed, pool: StoragePool): boolean {
  return need.pool === pool.name && need.storage === pool.storage
}
