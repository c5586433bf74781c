import { type FileHandle, open } from 'node:fs/promises'
import { MIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { type ByteRange, rangesToZero, type Unwritten } from './gaps.ts'
import type { VolumeExtent } from './volumes.ts'

const READ_BYTES = MIB
/** Granularity of leaving zeroes out: the usual smallest thin chunk. Finer finds few more and costs more frames. */
const ZERO_BLOCK_BYTES = 64 * 1024
const ZEROES = Buffer.alloc(MIB)

export interface ReadOptions {
  readonly sizeBytes: number
  readonly signal: AbortSignal
  /** Tell the last block even if it is zero: how long a file is says only its last byte. */
  readonly tellEnd: boolean
}

/**
 * Bytes of a file or block device nobody writes, in order, all-zero blocks left out. Each extent owns its buffer.
 * Errors: `aborted`, `unavailable` when the device cannot be read or is shorter than it should be.
 */
export async function* readExtents(path: string, options: ReadOptions): AsyncIterable<VolumeExtent> {
  const { sizeBytes, signal, tellEnd } = options
  stopIfAborted(signal, path)
  const handle = await openFor(path, 'r')
  try {
    for (let at = 0; at < sizeBytes; at += READ_BYTES) {
      stopIfAborted(signal, path)
      const block = Buffer.allocUnsafe(Math.min(READ_BYTES, sizeBytes - at))
      await readFully(handle, block, at, path)
      yield* nonZeroRuns(block, at, tellEnd && at + block.length === sizeBytes)
    }
  } finally {
    await handle.close()
  }
}

/** Runs of blocks that are not all zero (pure). */
function* nonZeroRuns(block: Buffer, offsetBytes: number, tellEnd: boolean): Iterable<VolumeExtent> {
  let start = -1
  for (let from = 0; from < block.length; from += ZERO_BLOCK_BYTES) {
    const to = Math.min(from + ZERO_BLOCK_BYTES, block.length)
    const isZero = ZEROES.subarray(0, to - from).equals(block.subarray(from, to))
    if (!isZero || (tellEnd && to === block.length)) {
      if (start < 0) start = from
    } else if (start >= 0) {
      yield { offsetBytes: offsetBytes + start, data: block.subarray(start, from) }
      start = -1
    }
  }
  if (start >= 0) yield { offsetBytes: offsetBytes + start, data: block.subarray(start) }
}

export interface WriteOptions {
  /** Extents beyond it are refused; undefined: a file that grows. */
  readonly sizeBytes: number | undefined
  readonly unwritten: Unwritten
  /** A file is emptied first: what an earlier, broken copy wrote must not show through the gaps of this one. */
  readonly emptyFirst: boolean
}

/**
 * Writes extents in ascending order, zeroes where the gaps between them would not read zero, and returns when all is
 * durable. Errors: `bad-input` for an extent out of order or past the end, `unavailable` when a write fails.
 */
export async function writeExtents(
  path: string,
  extents: AsyncIterable<VolumeExtent>,
  options: WriteOptions,
): Promise<void> {
  const handle = await openFor(path, 'r+')
  try {
    if (options.emptyFirst) await empty(handle, options.sizeBytes ?? 0, path)
    let at = 0
    for await (const { offsetBytes, data } of extents) {
      checkExtent(path, at, offsetBytes, data.length, options.sizeBytes)
      await zeroGap(handle, { fromBytes: at, toBytes: offsetBytes }, options.unwritten, path)
      await writeFully(handle, data, offsetBytes, path)
      at = offsetBytes + data.length
    }
    if (options.sizeBytes !== undefined) {
      await zeroGap(handle, { fromBytes: at, toBytes: options.sizeBytes }, options.unwritten, path)
    }
    await handle.sync().catch(failed(`failed to make ${path} durable`))
  } finally {
    await handle.close()
  }
}

async function empty(handle: FileHandle, sizeBytes: number, path: string): Promise<void> {
  await handle.truncate(0).catch(failed(`failed to empty ${path}`))
  await handle.truncate(sizeBytes).catch(failed(`failed to size ${path}`))
}

function checkExtent(
  path: string,
  at: number,
  offset: number,
  length: number,
  size: number | undefined,
): void {
  // Going back could not be zero-filled any more: what lies behind may be data already.
  if (offset < at) {
    throw new LifeboatError('bad-input', `an extent for ${path} starts at ${offset}, before byte ${at}`)
  }
  if (size !== undefined && offset + length > size) {
    throw new LifeboatError(
      'bad-input',
      `an extent for ${path} ends at ${offset + length}, the volume at ${size}`,
    )
  }
}

async function zeroGap(
  handle: FileHandle,
  gap: ByteRange,
  unwritten: Unwritten,
  path: string,
): Promise<void> {
  for (const { fromBytes, toBytes } of rangesToZero(gap, unwritten)) {
    for (let at = fromBytes; at < toBytes; at += ZEROES.length) {
      await writeFully(handle, ZEROES.subarray(0, Math.min(ZEROES.length, toBytes - at)), at, path)
    }
  }
}

async function openFor(path: string, flags: 'r' | 'r+'): Promise<FileHandle> {
  return await open(path, flags).catch(failed(`failed to open ${path}`))
}

async function readFully(handle: FileHandle, into: Buffer, offsetBytes: number, path: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await handle
      .read(into, done, into.length - done, offsetBytes + done)
      .catch(failed(`failed to read ${path} at byte ${offsetBytes + done}`))
    if (bytesRead === 0) {
      throw new LifeboatError('unavailable', `${path} ends at byte ${offsetBytes + done}, before its size`)
    }
    done += bytesRead
  }
}

async function writeFully(
  handle: FileHandle,
  data: Buffer,
  offsetBytes: number,
  path: string,
): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await handle
      .write(data, done, data.length - done, offsetBytes + done)
      .catch(failed(`failed to write ${path} at byte ${offsetBytes + done}`))
    done += bytesWritten
  }
}

function stopIfAborted(signal: AbortSignal, path: string): void {
  if (signal.aborted) throw new LifeboatError('aborted', `reading ${path} was stopped on request`)
}

const failed = (message: string) => (cause: unknown) => {
  throw new LifeboatError('unavailable', message, { cause })
}
