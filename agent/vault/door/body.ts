import type { ServerHttp2Stream } from 'node:http2'
import { constants, type IncomingHttpHeaders } from 'node:http2'
import { LifeboatError } from '../../../shared/errors.ts'
import { BATCH_BYTES } from './protocol.ts'

/** Between two pieces of a body; a client that stops in the middle of one must not hold its memory for ever. */
const STALL_LIMIT_MS = 60_000

/** Buffers for the bodies of one connection, used again: they come by the thousand and are of one size. */
export interface BodyBuffers {
  take(bytes: number): Buffer
  /** When nothing looks at the body any more. */
  give(body: Buffer): void
}

const REUSED_BYTES = BATCH_BYTES + 256 * 1024
const KEPT = 4

export function createBodyBuffers(): BodyBuffers {
  const free: ArrayBufferLike[] = []
  return {
    take: bytes => {
      if (bytes > REUSED_BYTES || bytes < REUSED_BYTES / 16) return Buffer.allocUnsafeSlow(bytes)
      const memory = free.pop() ?? Buffer.allocUnsafeSlow(REUSED_BYTES).buffer
      return Buffer.from(memory, 0, bytes)
    },
    give: ({ buffer }) => {
      if (buffer.byteLength === REUSED_BYTES && free.length < KEPT) free.push(buffer)
    },
  }
}

/**
 * Reads a body whole into one buffer of the length its head announces, for the caller to give back. Throws `bad-input`,
 * `aborted`, `timeout`.
 */
export async function readBody(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  maxBytes: number,
  buffers: BodyBuffers,
): Promise<Buffer> {
  const length = Number(headers['content-length'] ?? 0)
  if (!(Number.isSafeInteger(length) && length >= 0 && length <= maxBytes)) {
    throw new LifeboatError(
      'bad-input',
      `a body of ${headers['content-length']} bytes, the most is ${maxBytes}`,
    )
  }
  const body = buffers.take(length)
  let filled = 0
  return await new Promise((resolve, reject) => {
    const fail = (code: 'bad-input' | 'aborted' | 'timeout', message: string): void => {
      stream.close(constants.NGHTTP2_CANCEL)
      reject(new LifeboatError(code, message))
    }
    stream.setTimeout(STALL_LIMIT_MS, () => fail('timeout', 'the body of a request stopped coming'))
    stream.on('data', (piece: Buffer) => {
      // nghttp2 itself refuses more than was announced; this is for a peer that announced nothing.
      if (filled + piece.length > length) fail('bad-input', 'a body longer than announced')
      else filled += piece.copy(body, filled)
    })
    const onClose = (): void => reject(new LifeboatError('aborted', 'the caller went away'))
    stream.once('close', onClose)
    stream.once('end', () => {
      stream.off('close', onClose)
      stream.setTimeout(0)
      if (filled === length) resolve(body)
      else fail('bad-input', 'a body shorter than announced')
    })
  })
}
