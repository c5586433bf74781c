import { LifeboatError } from '../../../shared/errors.ts'
import type { ChunkId } from '../vault.ts'

/**
 * casync's index of one image (.caibx): little-endian, a header, one entry per chunk (its END offset and id), a tail.
 * Nothing says so but casync's source; test/contract/casync.test.ts holds both directions against Debian's casync.
 */
const HEADER_BYTES = 64
const ENTRY_BYTES = 40
const ID_BYTES = 32
const INDEX_HEADER_BYTES = 48
const TABLE_OVERHEAD_BYTES = 16 + ENTRY_BYTES
const INDEX_MAGIC = 0x96824d9c7b129ff9n
const TABLE_MAGIC = 0xe75b9e112f17417dn
const TAIL_MAGIC = 0x4b4f050e5549ecd1n
const UNKNOWN_SIZE = 0xffffffffffffffffn
/** Digest SHA-512/256 instead of SHA-256; casync's other flags say what it left out of archives, and mean nothing here. */
const FLAG_SHA512_256 = 0x2000000000000000n
/** casync takes no larger chunk. */
export const MAX_CHUNK_BYTES = 128 * 1024 * 1024
const ID = /^[0-9a-f]{64}$/

/** What the ids of an index are. Ours are SHA-256; casync's default is SHA-512/256. */
export type Digest = 'sha256' | 'sha512-256'

/** Which chunks, one after the other, are the image. A view on the bytes: 131,072 chunks (64 GiB) are 5 MB. */
export interface ChunkIndex {
  readonly digest: Digest
  /** No chunk is larger. */
  readonly maxChunkBytes: number
  /** Of the image. */
  readonly sizeBytes: number
  /** How many chunks. */
  readonly count: number
  /** 64 hex digits. */
  idAt(position: number): ChunkId
  /** The 32 bytes of the id, not copied. */
  rawIdAt(position: number): Buffer
  /** Where the chunk begins in the image. */
  startAt(position: number): number
  /** Where the chunk ends in the image. */
  endAt(position: number): number
}

/** The ids of an image cut into chunks of one size, in whatever order they come to be known. */
export interface IndexBuilder {
  readonly count: number
  /** The id as hex or as its 32 bytes. */
  set(position: number, id: ChunkId | Uint8Array): void
  /** The whole .caibx. Throws `internal` when an id is missing: such an index would restore zeroes. */
  finish(): Buffer
}

/** How long the index of such an image is. */
export function indexBytes(chunkBytes: number, sizeBytes: number): number {
  return HEADER_BYTES + ENTRY_BYTES * (Math.ceil(sizeBytes / chunkBytes) + 1)
}

/** An index of an image of `sizeBytes` in chunks of `chunkBytes`; the last one may be shorter. */
export function createIndexBuilder(chunkBytes: number, sizeBytes: number): IndexBuilder {
  if (!(chunkBytes > 0 && chunkBytes <= MAX_CHUNK_BYTES)) {
    throw new LifeboatError('bad-input', `a chunk has 1 to ${MAX_CHUNK_BYTES} bytes, not ${chunkBytes}`)
  }
  const count = Math.ceil(sizeBytes / chunkBytes)
  const bytes = Buffer.alloc(indexBytes(chunkBytes, sizeBytes))
  writeFrame(bytes, chunkBytes, count)
  for (let position = 0; position < count; position++) {
    const end = Math.min(sizeBytes, (position + 1) * chunkBytes)
    writeUInt64(bytes, HEADER_BYTES + ENTRY_BYTES * position, end)
  }
  const given = new Uint8Array(count)
  return {
    count,
    set: (position, id) => {
      if (!(position >= 0 && position < count)) throw new LifeboatError('internal', `no chunk ${position}`)
      const offset = HEADER_BYTES + ENTRY_BYTES * position + 8
      if (typeof id === 'string') bytes.write(parseChunkId(id), offset, 'hex')
      else bytes.set(id.subarray(0, ID_BYTES), offset)
      given[position] = 1
    },
    finish: () => {
      const hole = given.indexOf(0)
      if (hole >= 0) throw new LifeboatError('internal', `the index lacks chunk ${hole} of ${count}`)
      return bytes
    },
  }
}

function writeFrame(bytes: Buffer, chunkBytes: number, count: number): void {
  bytes.writeBigUInt64LE(BigInt(INDEX_HEADER_BYTES), 0)
  bytes.writeBigUInt64LE(INDEX_MAGIC, 8)
  for (const offset of [24, 32, 40]) writeUInt64(bytes, offset, chunkBytes)
  bytes.writeBigUInt64LE(UNKNOWN_SIZE, 48)
  bytes.writeBigUInt64LE(TABLE_MAGIC, 56)
  const tail = HEADER_BYTES + ENTRY_BYTES * count
  writeUInt64(bytes, tail + 16, INDEX_HEADER_BYTES)
  writeUInt64(bytes, tail + 24, TABLE_OVERHEAD_BYTES + ENTRY_BYTES * count)
  bytes.writeBigUInt64LE(TAIL_MAGIC, tail + 32)
}

/**
 * Reads an index, ours or casync's. Strict, since what it names is written over a disk: anything that is not as it must
 * be is one `bad-input`.
 */
export function parseIndex(bytes: Buffer): ChunkIndex {
  const tableBytes = bytes.length - HEADER_BYTES - ENTRY_BYTES
  if (tableBytes < 0) throw damaged(`it has ${bytes.length} bytes, an empty one has 104: truncated`)
  if (bytes.readBigUInt64LE(8) !== INDEX_MAGIC || readUInt64(bytes, 0) !== INDEX_HEADER_BYTES) {
    throw damaged('it does not begin as one')
  }
  if (tableBytes % ENTRY_BYTES !== 0) {
    throw damaged(`${bytes.length} bytes are no whole number of entries: truncated`)
  }
  const count = tableBytes / ENTRY_BYTES
  const maxChunkBytes = checkHead(bytes)
  checkTail(bytes, count)
  checkOffsets(bytes, count, maxChunkBytes)
  const entry = (position: number): number => {
    if (!(position >= 0 && position < count)) throw new LifeboatError('internal', `no chunk ${position}`)
    return HEADER_BYTES + ENTRY_BYTES * position
  }
  const endAt = (position: number) => readUInt64(bytes, entry(position))
  return {
    digest: (bytes.readBigUInt64LE(16) & FLAG_SHA512_256) === 0n ? 'sha256' : 'sha512-256',
    maxChunkBytes,
    sizeBytes: count === 0 ? 0 : endAt(count - 1),
    count,
    idAt: position => bytes.toString('hex', entry(position) + 8, entry(position) + ENTRY_BYTES),
    rawIdAt: position => bytes.subarray(entry(position) + 8, entry(position) + ENTRY_BYTES),
    startAt: position => (position === 0 ? 0 : endAt(position - 1)),
    endAt,
  }
}

function checkHead(bytes: Buffer): number {
  if (bytes.readBigUInt64LE(48) !== UNKNOWN_SIZE || bytes.readBigUInt64LE(56) !== TABLE_MAGIC) {
    throw damaged('its table does not begin as one')
  }
  const [min, average, max] = [readUInt64(bytes, 24), readUInt64(bytes, 32), readUInt64(bytes, 40)]
  if (!(min > 0 && min <= average && average <= max && max <= MAX_CHUNK_BYTES)) {
    throw damaged(`chunks of ${min}, ${average}, ${max} bytes (least, usual, most) cannot be`)
  }
  return max
}

function checkTail(bytes: Buffer, count: number): void {
  const tail = HEADER_BYTES + ENTRY_BYTES * count
  const isRight =
    readUInt64(bytes, tail) === 0 &&
    readUInt64(bytes, tail + 8) === 0 &&
    readUInt64(bytes, tail + 16) === INDEX_HEADER_BYTES &&
    readUInt64(bytes, tail + 24) === TABLE_OVERHEAD_BYTES + ENTRY_BYTES * count &&
    bytes.readBigUInt64LE(tail + 32) === TAIL_MAGIC
  if (!isRight) throw damaged('it does not end as one: truncated, or written over')
}

function checkOffsets(bytes: Buffer, count: number, maxChunkBytes: number): void {
  let start = 0
  for (let position = 0; position < count; position++) {
    const end = readUInt64(bytes, HEADER_BYTES + ENTRY_BYTES * position)
    if (end <= start || !Number.isSafeInteger(end))
      throw damaged(`the offset of chunk ${position} does not rise`)
    if (end - start > maxChunkBytes) {
      throw damaged(`chunk ${position} has ${end - start} bytes, the most is ${maxChunkBytes}`)
    }
    start = end
  }
}

function damaged(why: string): LifeboatError {
  return new LifeboatError('bad-input', `not a chunk index: ${why}`)
}

// Twice as fast as through bigint; beyond 2^53 it is inexact, which the checks refuse.
function readUInt64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * 0x1_0000_0000 + bytes.readUInt32LE(offset)
}

function writeUInt64(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, offset)
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4)
}

/** Throws `bad-input`: ids become names of files. */
export function parseChunkId(text: string): ChunkId {
  if (ID.test(text)) return text
  throw new LifeboatError('bad-input', `'${text}' is not a chunk id: 64 lower-case hex digits`)
}
