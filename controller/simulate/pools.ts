import type { StoragePool } from '../../shared/domain/fleet.ts'
import type { VmView } from '../fleet/snapshot.ts'
import { writtenBytes } from '../placement/pools.ts'
import { volumeNeeds } from '../placement/room.ts'

/** Whole volumes are taken: from what is free first, then from what was kept after moves. */
export function afterArrival(pool: StoragePool, vm: VmView): StoragePool {
  const need =
    volumeNeeds(vm).find(each => each.pool === pool.name && each.storage === pool.storage)?.bytes ?? 0
  const fromFree = Math.min(need, pool.freeBytes)
  return {
    ...pool,
    freeBytes: pool.freeBytes - fromFree,
    reclaimableBytes: pool.reclaimableBytes - (need - fromFree),
  }
}

/** The source keeps the volumes, and gives them up when the room is needed (rule 3). */
export function afterLeaving(pool: StoragePool, vm: VmView): StoragePool {
  return { ...pool, reclaimableBytes: pool.reclaimableBytes + writtenBytes(vm, pool) }
}

export function afterRemoval(pool: StoragePool, vm: VmView): StoragePool {
  return { ...pool, freeBytes: pool.freeBytes + writtenBytes(vm, pool) }
}
