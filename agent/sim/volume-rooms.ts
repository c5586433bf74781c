import type { StoragePool } from '../../shared/domain/fleet.ts'
import type { CreateOptions } from '../storage/volumes.ts'
import type { SimPool } from './disks.ts'
import type { VolumeRecord } from './volume-records.ts'

/**
 * Room of each pool (pure). Thin volumes count with their full size: what a guest may yet write is not free room
 * (rule 5), the same as the real Volumes counts it. A thin pool itself takes its size of its volume group.
 */
export function poolRooms(pools: readonly SimPool[], records: readonly VolumeRecord[]): StoragePool[] {
  return pools.map(pool => {
    const volumes = records.filter(record => record.pool === pool.name && record.storage === pool.storage)
    const sum = (list: readonly VolumeRecord[]) => list.reduce((bytes, record) => bytes + record.sizeBytes, 0)
    const thinPools = pools.filter(
      other => other.storage === 'thin' && other.name.startsWith(`${pool.name}/`),
    )
    const poolBytes =
      pool.storage === 'thick' ? thinPools.reduce((bytes, thin) => bytes + thin.sizeBytes, 0) : 0
    return {
      name: pool.name,
      storage: pool.storage,
      sizeBytes: pool.sizeBytes,
      freeBytes: Math.max(0, pool.sizeBytes - poolBytes - sum(volumes)),
      reclaimableBytes: sum(volumes.filter(record => record.kept !== undefined)),
    }
  })
}

/**
 * Which kept volumes must go so that `neededBytes` fit, oldest first (pure). Undefined when even all of them would
 * not do: then none is dropped, as a kept volume is somebody's way back.
 */
export function chooseDrops(
  room: StoragePool,
  records: readonly VolumeRecord[],
  neededBytes: number,
  how: CreateOptions = {},
): readonly VolumeRecord[] | undefined {
  const kept = (how.sparesKept === true ? [] : records)
    .filter(record => record.kept && record.pool === room.name && record.storage === room.storage)
    .sort((a, b) => (a.kept?.order ?? 0) - (b.kept?.order ?? 0))
  const drops: VolumeRecord[] = []
  let freeBytes = room.freeBytes
  for (const record of kept) {
    if (freeBytes >= neededBytes) break
    drops.push(record)
    freeBytes += record.sizeBytes
  }
  return freeBytes >= neededBytes ? drops : undefined
}
