import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { LifeboatError } from '../../shared/errors.ts'

/** Like the lab's guest: a counter that rises while it runs, kept on its first disk with a checksum. */
export const SECTOR_BYTES = 512
export const TICK_MS = 50

const MAGIC = 'LBGUEST1'

function checksum(count: bigint): Buffer {
  return createHash('sha256').update(`${MAGIC}${count}`).digest().subarray(0, 16)
}

/** One sector that carries the counter. */
export function encodeCounter(count: number): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES)
  sector.write(MAGIC, 0, 'latin1')
  sector.writeBigUInt64LE(BigInt(count), 8)
  checksum(BigInt(count)).copy(sector, 16)
  return sector
}

/** The counter of a sector; 0 for a sector never written. Throws `bad-tool-output` when it is torn or foreign. */
export function decodeCounter(sector: Buffer): number {
  if (sector.every(byte => byte === 0)) return 0
  const count = sector.readBigUInt64LE(8)
  if (sector.toString('latin1', 0, 8) !== MAGIC || !checksum(count).equals(sector.subarray(16, 32))) {
    throw new LifeboatError('bad-tool-output', 'the guest sector of the disk is damaged')
  }
  return Number(count)
}

/** Reads the counter from a disk image of the host. Throws when the file is gone. */
export function readCounter(hostPath: string): number {
  const sector = Buffer.alloc(SECTOR_BYTES)
  const fd = openSync(hostPath, 'r')
  try {
    readSync(fd, sector, 0, SECTOR_BYTES, 0)
  } finally {
    closeSync(fd)
  }
  return decodeCounter(sector)
}

/** Writes the counter to a disk image of the host. */
export function writeCounter(hostPath: string, count: number): void {
  const fd = openSync(hostPath, 'r+')
  try {
    writeSync(fd, encodeCounter(count), 0, SECTOR_BYTES, 0)
  } finally {
    closeSync(fd)
  }
}

/** Steps done by `now` (epoch ms) of a guest that stood at `count` when it began to run at `since`. */
export function countAt(count: number, since: number, now: number): number {
  return since === 0 ? count : count + Math.max(0, Math.floor((now - since) / TICK_MS))
}
