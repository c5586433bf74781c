import type { StoragePool } from '../../shared/domain/fleet.ts'
import { loadOf } from '../placement/load.ts'
import type { BladeLoad } from '../placement/plan.ts'
import { poolKey } from '../placement/pools.ts'
import { isOpen, type Rooms } from '../placement/room.ts'

/** What the blades that take VMs have in all. */
export interface FleetRoom {
  readonly blades: number
  /** Up, healthy and in service: only their room is counted. */
  readonly openBlades: number
  readonly vms: number
  readonly maxVms: number
  readonly memoryUsedBytes: number
  /** Beside the reserve. */
  readonly memoryTotalBytes: number
  /** Added up by kind and name. */
  readonly pools: readonly StoragePool[]
  /** The blade that takes the largest VM, by memory; undefined: none takes any. */
  readonly roomiest: BladeLoad | undefined
}

/** Adds up what there is. Room on a blade that takes no VM is none. */
export function fleetRoom(rooms: Rooms): FleetRoom {
  const open = [...rooms.values()].filter(room => isOpen(room.blade)).map(loadOf)
  const sum = (of: (load: BladeLoad) => number) => open.reduce((so, load) => so + of(load), 0)
  const [roomiest] = open
    .filter(load => load.vms < load.maxVms && freeMemoryBytes(load) > 0)
    .sort((a, b) => freeMemoryBytes(b) - freeMemoryBytes(a) || (a.blade < b.blade ? -1 : 1))
  return {
    blades: rooms.size,
    openBlades: open.length,
    vms: sum(load => load.vms),
    maxVms: sum(load => load.maxVms),
    memoryUsedBytes: sum(load => load.memoryUsedBytes),
    memoryTotalBytes: sum(load => load.memoryTotalBytes),
    pools: addUp(open.flatMap(load => load.pools)),
    roomiest,
  }
}

function freeMemoryBytes(load: BladeLoad): number {
  return load.memoryTotalBytes - load.memoryUsedBytes
}

function addUp(pools: readonly StoragePool[]): StoragePool[] {
  return [...Map.groupBy(pools, pool => poolKey(pool.storage, pool.name)).values()]
    .map(same => {
      const sum = (of: (pool: StoragePool) => number) => same.reduce((so, pool) => so + of(pool), 0)
      return {
        name: same[0]?.name ?? '',
        storage: same[0]?.storage ?? 'thick',
        sizeBytes: sum(pool => pool.sizeBytes),
        freeBytes: sum(pool => pool.freeBytes),
        reclaimableBytes: sum(pool => pool.reclaimableBytes),
      }
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.storage < b.storage ? -1 : 1))
}
