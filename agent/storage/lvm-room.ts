import type { StoragePool } from '../../shared/domain/fleet.ts'
import { readMarks, SNAPSHOT_TAG } from './kept-names.ts'
import { lvPath } from './lvm-names.ts'
import {
  classicSnapshotOf,
  isThinPool,
  type LogicalVolume,
  type LvmReport,
  lvStorage,
  type VolumeGroup,
} from './lvm-text.ts'
import { type KeptHolding, type Room, toPool } from './room.ts'

/** Room of a volume group for thick volumes (pure): LVM's own free extents, nothing promised beyond them. */
export function thickRoom(group: VolumeGroup, volumes: readonly LogicalVolume[]): Room {
  const thick = volumes.filter(volume => volume.group === group.name && lvStorage(volume) === 'thick')
  return {
    sizeBytes: group.sizeBytes,
    physicalFreeBytes: group.freeBytes,
    promisedFreeBytes: group.freeBytes,
    kept: thick.flatMap(volume => holding(volume, volume.sizeBytes, volumes)),
  }
}

/**
 * Room of a thin pool (pure). A thin volume counts with its whole virtual size, snapshots too: each may yet be written
 * full. A kept one is never written again and counts with what it holds. lvs prints two decimals, so `written` is good
 * to a ten-thousandth of the pool; it is rounded up.
 */
export function thinRoom(pool: LogicalVolume, volumes: readonly LogicalVolume[]): Room {
  const inside = volumes.filter(volume => volume.group === pool.group && volume.pool === pool.name)
  // A snapshot of a backup is never written either, and holds at most what its volume had when it was made.
  const unwritten = inside.filter(
    ({ name, tags }) => tags.includes(SNAPSHOT_TAG) || readMarks(name, tags).kept !== undefined,
  )
  const promised = inside
    .filter(volume => !unwritten.includes(volume))
    .reduce((sum, volume) => sum + volume.sizeBytes, 0)
  const held = unwritten.reduce((sum, volume) => sum + writtenBytes(volume), 0)
  return {
    sizeBytes: pool.sizeBytes,
    physicalFreeBytes: pool.sizeBytes - writtenBytes(pool),
    promisedFreeBytes: pool.sizeBytes - promised - held,
    kept: inside.flatMap(volume => holding(volume, writtenBytes(volume), volumes)),
  }
}

/** Bytes of a thin volume or pool that are mapped. */
export function writtenBytes(volume: LogicalVolume): number {
  return Math.min(volume.sizeBytes, Math.ceil((volume.sizeBytes * volume.dataPercent) / 100))
}

/** All pools of the blade: `vg0` for thick volumes, `vg0/pool` for each thin pool (pure). */
export function lvmPools({ groups, volumes }: LvmReport): StoragePool[] {
  const thick = groups.map(group => toPool(group.name, 'thick', thickRoom(group, volumes)))
  const thin = volumes
    .filter(isThinPool)
    .map(pool => toPool(`${pool.group}/${pool.name}`, 'thin', thinRoom(pool, volumes)))
  return [...thick, ...thin]
}

/** One with a classic snapshot gives nothing back: it cannot be dropped, and others shall not go for room it does not give. */
function holding(volume: LogicalVolume, heldBytes: number, volumes: readonly LogicalVolume[]): KeptHolding[] {
  const { kept } = readMarks(volume.name, volume.tags)
  if (kept === undefined || classicSnapshotOf(volume, volumes) !== undefined) return []
  return [{ path: lvPath(volume), keptAt: kept.keptAt, heldBytes }]
}
