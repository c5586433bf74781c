import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { LifeboatError } from '../../shared/errors.ts'

/** What the simulated hypervisors say to each other on the control channel, one JSON line each. */
export type SourceMessage =
  | { readonly kind: 'begin'; readonly definition: string; readonly memory: string; readonly disk: string }
  | {
      readonly kind: 'finish'
      readonly count: number
      readonly diskBytes: number
      readonly memoryBytes: number
    }
export type TargetMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'finished' }
  | { readonly kind: 'refused'; readonly text: string }

/** A piece of a disk on the disk channel. */
export interface DiskFrame {
  readonly volume: number
  readonly offsetBytes: number
  readonly data: Buffer
}

const HEADER_BYTES = 16
/** A frame of this volume number says: nothing follows. */
const END_OF_DISKS = 0xffff_ffff
const MAX_FRAME_BYTES = 1024 * 1024

/** Reads a byte stream piecewise. Ends with `unavailable` when the stream closes in the middle. */
export class ByteReader {
  readonly #iterator: AsyncIterator<Buffer>
  #pending: Buffer = Buffer.alloc(0)

  constructor(stream: Duplex) {
    this.#iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  async #more(): Promise<void> {
    let next: IteratorResult<Buffer>
    try {
      next = await this.#iterator.next()
    } catch (error) {
      throw new LifeboatError('unavailable', 'the migration stream broke', { cause: error })
    }
    if (next.done) throw new LifeboatError('unavailable', 'the migration stream was closed too early')
    this.#pending = this.#pending.length === 0 ? next.value : Buffer.concat([this.#pending, next.value])
  }

  async bytes(length: number): Promise<Buffer> {
    while (this.#pending.length < length) await this.#more()
    const bytes = this.#pending.subarray(0, length)
    this.#pending = this.#pending.subarray(length)
    return bytes
  }

  async line<Message>(): Promise<Message> {
    for (;;) {
      const end = this.#pending.indexOf(10)
      if (end >= 0) {
        const text = this.#pending.toString('utf8', 0, end)
        this.#pending = this.#pending.subarray(end + 1)
        return JSON.parse(text) as Message
      }
      await this.#more()
    }
  }

  /** One frame of the disk channel; undefined at its end. */
  async frame(): Promise<DiskFrame | undefined> {
    const header = await this.bytes(HEADER_BYTES)
    const volume = header.readUInt32LE(0)
    const length = header.readUInt32LE(4)
    const offsetBytes = Number(header.readBigUInt64LE(8))
    if (volume === END_OF_DISKS) return undefined
    if (length > MAX_FRAME_BYTES) throw new LifeboatError('bad-input', `a disk frame of ${length} bytes`)
    return { volume, offsetBytes, data: await this.bytes(length) }
  }
}

/** Writes and waits while the other end is slow. Ends with `unavailable` when the stream is gone. */
export async function writeBytes(stream: Duplex, bytes: Buffer | string): Promise<void> {
  if (stream.destroyed || stream.errored) {
    throw new LifeboatError('unavailable', 'the migration stream is closed', {
      cause: stream.errored ?? undefined,
    })
  }
  if (stream.write(bytes)) return
  const closed = new AbortController()
  const onClose = () => closed.abort()
  stream.once('close', onClose)
  try {
    await once(stream, 'drain', { signal: closed.signal })
  } catch (error) {
    throw new LifeboatError('unavailable', 'the migration stream broke', { cause: stream.errored ?? error })
  } finally {
    stream.off('close', onClose)
  }
}

/** One line of the control channel. */
export function sendLine(stream: Duplex, message: SourceMessage | TargetMessage): Promise<void> {
  return writeBytes(stream, `${JSON.stringify(message)}\n`)
}

function frameHeader(volume: number, length: number, offsetBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(volume, 0)
  header.writeUInt32LE(length, 4)
  header.writeBigUInt64LE(BigInt(offsetBytes), 8)
  return header
}

/** One frame of the disk channel; undefined ends it. */
export async function sendFrame(stream: Duplex, frame: DiskFrame | undefined): Promise<void> {
  if (frame === undefined) return writeBytes(stream, frameHeader(END_OF_DISKS, 0, 0))
  await writeBytes(stream, frameHeader(frame.volume, frame.data.length, frame.offsetBytes))
  await writeBytes(stream, frame.data)
}
