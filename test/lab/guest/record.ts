/**
 * What the guest writes, read back. Layout and order of writes are those of guest.s; this file must say the same.
 */
export const SECTOR_BYTES = 512
export const RING_FIRST_SECTOR = 8
export const RING_SECTORS = 16_384

const MAGIC = 0x3147424c
const SEED = 0x811c9dc5
const PRIME = 0x01000193

/** One record: what one step of the guest left in one sector. */
export interface StepRecord {
  counter: number
  /** How often the guest had booted from this volume when it wrote this. */
  boots: number
  name: string
}

/** What a volume says about its guest. */
export interface RingReport {
  name: string
  boots: number
  /** Newest step by sector 1. */
  last: number
  /** Newest step in the ring: `last`, or one more when the guest was stopped between the two writes. */
  top: number
  /** Number of steps that were checked: all of them, or the newest that the ring holds. */
  checked: number
  /** How many of them are missing, damaged or written by another guest. 0: no step was lost. */
  badCount: number
  /** The first ten of those. */
  bad: { step: number; found: string }[]
}

/** The record in a sector, or undefined when its checksum does not fit (an empty sector, a torn or foreign write). */
export function readRecord(sector: Buffer): StepRecord | undefined {
  let sum = SEED
  for (let offset = 0; offset < 20; offset += 4) sum = Math.imul(sum ^ sector.readUInt32LE(offset), PRIME)
  if (sector.readUInt32LE(0) !== MAGIC || sector.readUInt32LE(20) !== sum >>> 0) return undefined
  const name = sector.toString('latin1', 12, 20).replace(/\0.*$/s, '')
  return { counter: sector.readUInt32LE(4), boots: sector.readUInt32LE(8), name }
}

/** A sector with that record, as the guest writes it. */
export function writeRecord(record: StepRecord): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES)
  sector.writeUInt32LE(MAGIC, 0)
  sector.writeUInt32LE(record.counter, 4)
  sector.writeUInt32LE(record.boots, 8)
  sector.write(record.name, 12, 8, 'latin1')
  let sum = SEED
  for (let offset = 0; offset < 20; offset += 4) sum = Math.imul(sum ^ sector.readUInt32LE(offset), PRIME)
  sector.writeUInt32LE(sum >>> 0, 20)
  return sector
}

/** How many bytes from the start of the volume `checkRing` needs once the newest step is known. */
export function bytesToRead(last: number): number {
  // +1: the ring may be one step ahead of sector 1
  return (RING_FIRST_SECTOR + Math.min(last + 2, RING_SECTORS)) * SECTOR_BYTES
}

/**
 * Checks the start of a volume: every step from 1, or every one the ring still holds, must be there with its own
 * number, whole, and by the same guest. Steps the guest adds while the volume is read are no fault.
 */
export function checkRing(bytes: Buffer): RingReport {
  const sectorAt = (n: number) => bytes.subarray(n * SECTOR_BYTES, (n + 1) * SECTOR_BYTES)
  const newest = readRecord(sectorAt(1))
  if (newest === undefined) {
    const bad = [{ step: 0, found: 'no valid record in sector 1' }]
    return { name: '', boots: 0, last: 0, top: 0, checked: 0, badCount: 1, bad }
  }
  const { name, boots, counter: last } = newest
  const stepAt = (step: number) => {
    const sector = sectorAt(RING_FIRST_SECTOR + (step % RING_SECTORS))
    return sector.length === SECTOR_BYTES ? readRecord(sector) : undefined
  }
  const top = stepAt(last + 1)?.counter === last + 1 ? last + 1 : last
  const bad: RingReport['bad'] = []
  // A running guest overwrites the oldest steps while the volume is read, hence the margin once the ring is full.
  const margin = 256
  const first = Math.max(1, top - RING_SECTORS + 1 + (top > RING_SECTORS - margin ? margin : 0))
  for (let step = first; step <= top; step++) {
    const found = stepAt(step)
    if (found?.counter === step && found.name === name) continue
    bad.push({
      step,
      found: found === undefined ? 'no valid record' : `step ${found.counter} of ${found.name}`,
    })
  }
  return { name, boots, last, top, checked: top - first + 1, badCount: bad.length, bad: bad.slice(0, 10) }
}
