import { crc32 } from 'node:zlib'

/**
 * CRC-32 of the frames of one disk (.sums), in the order of its index: 4 bytes each, little-endian, 0 where none is known.
 * With them a check need not unpack what it reads. They are a help, not a promise: a frame that does not agree is unpacked
 * and hashed, so that a file that is gone, short or wrong costs time and nothing else.
 */
const SUM_BYTES = 4

/** Of a frame as it is stored. */
export function sumOf(frame: Buffer): number {
  return crc32(frame)
}

/** The whole file for so many positions; `sumAt` says 0 for what it does not know. */
export function packSums(count: number, sumAt: (position: number) => number): Buffer {
  const bytes = Buffer.alloc(count * SUM_BYTES)
  for (let position = 0; position < count; position++) {
    bytes.writeUInt32LE(sumAt(position), position * SUM_BYTES)
  }
  return bytes
}

/** 0 where none is known, also beyond the end. */
export function sumAt(sums: Buffer, position: number): number {
  const at = position * SUM_BYTES
  return at + SUM_BYTES <= sums.length ? sums.readUInt32LE(at) : 0
}
