import { formatBytes, MIB } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { LogicalVolume, VolumeGroup } from '../../storage/lvm-text.ts'

/** Slower than any mirror reads, also one that resyncs meanwhile: how long the snapshot may have to live. */
const READ_BYTES_PER_SECOND = 40 * MIB
const SHORTEST_LIFE_SECONDS = 120
/** A guest at night, with its own backup jobs, writes in bursts above its average. */
const SAFETY = 3
const FLOOR_BYTES = 16 * MIB
const FLOOR_SHARE = 0.05
/** What is not needed costs nothing for the hour, and spares an extension. */
const SHARE_OF_FREE = 0.2
/** The table of exceptions takes 16 bytes for each chunk of 4 KiB; the header and roundings a few MiB. */
const WHOLE_SHARE = 1.01
const WHOLE_EXTRA_BYTES = 8 * MIB

const POOL_DATA_LIMIT = 90
const POOL_METADATA_LIMIT = 85
/** Above these no snapshot is kept for the next night: it holds on to every block the guest replaces meanwhile. */
const BASE_DATA_LIMIT = 80
const BASE_METADATA_LIMIT = 75

export interface ThickNeed {
  readonly path: string
  readonly originBytes: number
  readonly writtenPerSecond: number
}

/**
 * Sizes of classic snapshots of one group, in the order of the needs (pure). Each gets what the measured rate of writes
 * asks for, and a share of what is free beside it; never more than a snapshot can use. Throws `refused` with numbers.
 */
export function thickSizes(group: VolumeGroup, needs: readonly ThickNeed[]): number[] {
  const least = leastBytes(group, needs)
  const sum = total(least)
  if (sum > group.freeBytes) {
    throw new LifeboatError(
      'refused',
      `${group.name} has ${formatBytes(group.freeBytes)} free, the snapshots need ${formatBytes(sum)}`,
      { details: needs.map((need, index) => describe(need, least[index] ?? 0)) },
    )
  }
  const spare = Math.floor(((group.freeBytes - sum) * SHARE_OF_FREE) / needs.length)
  return needs.map((need, index) => {
    const wished = roundDown((least[index] ?? 0) + spare, group.extentBytes)
    return Math.min(wished, roundUp(wholeBytes(need), group.extentBytes))
  })
}

/** What such snapshots need together at least (pure). */
export function thickNeeded(group: VolumeGroup, needs: readonly ThickNeed[]): number {
  return total(leastBytes(group, needs))
}

function leastBytes(group: VolumeGroup, needs: readonly ThickNeed[]): number[] {
  return needs.map(need => roundUp(Math.min(neededBytes(need), wholeBytes(need)), group.extentBytes))
}

function neededBytes({ originBytes, writtenPerSecond }: ThickNeed): number {
  const seconds = Math.max(SHORTEST_LIFE_SECONDS, originBytes / READ_BYTES_PER_SECOND)
  return Math.max(FLOOR_BYTES, originBytes * FLOOR_SHARE, writtenPerSecond * seconds * SAFETY)
}

const total = (sizes: readonly number[]) => sizes.reduce((sum, bytes) => sum + bytes, 0)
const wholeBytes = ({ originBytes }: ThickNeed) => originBytes * WHOLE_SHARE + WHOLE_EXTRA_BYTES
const roundUp = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit
const roundDown = (bytes: number, unit: number) => Math.floor(bytes / unit) * unit
const describe = ({ path, writtenPerSecond }: ThickNeed, bytes: number) =>
  `${path}: ${formatBytes(bytes)}, at ${formatBytes(Math.round(writtenPerSecond))}/s written`

/** Throws `refused` when a thin pool is so full that a snapshot might stop its VMs (pure). */
export function checkPool(pool: LogicalVolume): void {
  if (!isPoolFull(pool)) return
  const { dataPercent, metadataPercent } = pool
  throw new LifeboatError(
    'refused',
    `thin pool ${pool.group}/${pool.name} is full to ${dataPercent} % (data) and ${metadataPercent} % (metadata): above ${POOL_DATA_LIMIT} % and ${POOL_METADATA_LIMIT} % no snapshot is made (lvextend it)`,
  )
}

/** What must be free in a thin pool, so that it is not full (pure). */
export function poolNeeded({ sizeBytes }: LogicalVolume): number {
  return Math.ceil((sizeBytes * (100 - POOL_DATA_LIMIT + 1)) / 100)
}

export function isPoolFull({ dataPercent, metadataPercent }: LogicalVolume): boolean {
  return dataPercent >= POOL_DATA_LIMIT || metadataPercent >= POOL_METADATA_LIMIT
}

/** Whether more free bytes would help a pool that is full (pure): not against metadata, which lvextend makes room for. */
export function lacksOnlyData(pool: LogicalVolume): boolean {
  return isPoolFull(pool) && pool.metadataPercent < POOL_METADATA_LIMIT
}

export function mayKeepBase(pool: LogicalVolume): boolean {
  return pool.dataPercent < BASE_DATA_LIMIT && pool.metadataPercent < BASE_METADATA_LIMIT
}

export type Fill = 'well' | 'extend' | 'drop'
const EXTEND_PERCENT = 60
const DROP_PERCENT = 90
const POOL_DROP_PERCENT = 95

/** What to do with a classic snapshot that is so full (pure). */
export function judgeThick(percent: number, invalid: boolean, hasRoom: boolean): Fill {
  if (invalid || percent >= 100) return 'drop'
  if (percent >= EXTEND_PERCENT && hasRoom) return 'extend'
  return percent >= DROP_PERCENT ? 'drop' : 'well'
}

/** A pool that runs full stops every VM in it: its snapshots go before that (pure). */
export function judgePool(pool: LogicalVolume): Fill {
  return pool.dataPercent >= POOL_DROP_PERCENT || pool.metadataPercent >= POOL_DROP_PERCENT ? 'drop' : 'well'
}
