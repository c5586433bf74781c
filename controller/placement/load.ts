import type { BladeLoad } from './plan.ts'
import { type PoolRoom, type Room, type Rooms, usableMemoryBytes, usedMemoryBytes } from './room.ts'

/** How full the blade is, for people. */
export function loadOf(room: Room): BladeLoad {
  return {
    blade: room.blade.name,
    vms: room.vms.size,
    maxVms: room.blade.maxVms,
    memoryUsedBytes: usedMemoryBytes(room),
    memoryTotalBytes: usableMemoryBytes(room),
    pools: room.pools.map(poolAfter),
  }
}

/** Of every blade, by name. */
export function loadsByName(rooms: Rooms): BladeLoad[] {
  return [...rooms.values()].map(loadOf).sort((a, b) => (a.blade < b.blade ? -1 : 1))
}

/** Kept volumes give way last: first the free room goes, then theirs. */
function poolAfter({ name, storage, sizeBytes, reclaimableBytes, availableBytes }: PoolRoom) {
  const available = Math.max(0, availableBytes)
  const kept = Math.min(reclaimableBytes, available)
  return { name, storage, sizeBytes, freeBytes: available - kept, reclaimableBytes: kept }
}
