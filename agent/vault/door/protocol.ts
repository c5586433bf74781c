import {
  ERROR_CODES,
  type ErrorCode,
  errorCode,
  formatErrorChain,
  LifeboatError,
} from '../../../shared/errors.ts'
import type { Chunk, ChunkId } from '../vault.ts'

/**
 * The words of the vault's door for agents (7424): HTTP/2 requests below `/v1/`. Small things are JSON, ids are their 32
 * bytes one after the other, chunks are `id (32) · length (u32, big-endian) · frame`, many in one body, so that the
 * cost of a request is shared. An answer that is not 200 carries the error as JSON.
 */
export const PREFIX = '/v1/'

const ID_BYTES = 32
const CHUNK_HEAD_BYTES = ID_BYTES + 4

/** A body of chunks is filled up to about this; a single larger chunk travels alone. */
export const BATCH_BYTES = 4 * 1024 * 1024
/** Ids in one request: 512 KiB of them. */
export const MAX_IDS = 16_384
/** Chunks asked for at once: their frames lie in the vault's memory together. */
export const MAX_FETCH = 512
/** Most bytes of a body, by what it holds. */
export const MAX_BODY_BYTES = {
  json: 8 * 1024 * 1024,
  ids: MAX_IDS * ID_BYTES,
  /** The largest chunk of casync is 128 MiB. */
  chunks: 132 * 1024 * 1024,
  /** 3 TiB of disk in chunks of 512 KiB. */
  index: 256 * 1024 * 1024,
} as const

/**
 * Room for data under way that was not yet taken: less, and a fast link waits for window updates; the default of 64 KiB
 * halves the rate on loopback already.
 */
export const STREAM_WINDOW_BYTES = 8 * 1024 * 1024
export const CONNECTION_WINDOW_BYTES = 32 * 1024 * 1024
/** With the usual 16 KiB, each record of TLS holds the ends of two frames, and each end is an event of its own. */
export const FRAME_BYTES = 1024 * 1024

export function packIds(ids: readonly ChunkId[]): Buffer {
  const bytes = Buffer.allocUnsafe(ids.length * ID_BYTES)
  ids.forEach((id, position) => {
    if (bytes.write(id, position * ID_BYTES, 'hex') !== ID_BYTES) {
      throw new LifeboatError('bad-input', `'${id}' is not a chunk id`)
    }
  })
  return bytes
}

/** Throws `bad-input`. */
export function unpackIds(bytes: Buffer): ChunkId[] {
  if (bytes.length % ID_BYTES !== 0) throw new LifeboatError('bad-input', 'ids of chunks, cut off')
  const ids: ChunkId[] = []
  for (let offset = 0; offset < bytes.length; offset += ID_BYTES) {
    ids.push(bytes.toString('hex', offset, offset + ID_BYTES))
  }
  return ids
}

/** Pieces of a body, not copied together. */
export function packChunks(chunks: readonly Chunk[]): Buffer[] {
  const heads = Buffer.allocUnsafe(chunks.length * CHUNK_HEAD_BYTES)
  return chunks.flatMap(({ id, frame }, position) => {
    const offset = position * CHUNK_HEAD_BYTES
    heads.write(id, offset, 'hex')
    heads.writeUInt32BE(frame.length, offset + ID_BYTES)
    return [heads.subarray(offset, offset + CHUNK_HEAD_BYTES), frame]
  })
}

/** The frames are views on the body. Throws `bad-input`. */
export function unpackChunks(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const start = offset + CHUNK_HEAD_BYTES
    const end = start <= bytes.length ? start + bytes.readUInt32BE(offset + ID_BYTES) : Number.NaN
    if (!(end <= bytes.length)) throw new LifeboatError('bad-input', 'chunks, cut off')
    chunks.push({ id: bytes.toString('hex', offset, offset + ID_BYTES), frame: bytes.subarray(start, end) })
    offset = end
  }
  return chunks
}

export function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}

/** A LifeboatError as it travels; its causes become one line. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly details: readonly string[]
}

export function formatError(error: unknown): WireError {
  if (!(error instanceof LifeboatError)) {
    return { code: errorCode(error), message: formatErrorChain(error), details: [] }
  }
  const message =
    error.cause === undefined ? error.message : `${error.message}: ${formatErrorChain(error.cause)}`
  return { code: error.code, message, details: error.details }
}

/** What the other side threw; for an answer that is none of ours, `version-mismatch`. */
export function parseError(value: unknown): LifeboatError {
  const told = (value ?? {}) as Partial<WireError>
  if (typeof told.code !== 'string' || !Object.hasOwn(ERROR_CODES, told.code)) {
    return new LifeboatError('version-mismatch', 'an answer that cannot be understood: its version differs')
  }
  const details = Array.isArray(told.details) ? told.details.map(String) : []
  return new LifeboatError(told.code, String(told.message), { details })
}

/** For people with a browser's tools, and proxies; ours reads the body. */
export function statusOf(code: ErrorCode): number {
  return STATUS[code] ?? 500
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  'bad-input': 400,
  'not-authenticated': 401,
  'not-allowed': 403,
  'not-found': 404,
  'already-exists': 409,
  refused: 409,
  busy: 503,
  unavailable: 503,
  'version-mismatch': 404,
}
