import type { ServerHttp2Stream } from 'node:http2'
import { constants, type IncomingHttpHeaders } from 'node:http2'
import { LifeboatError } from '../../../shared/errors.ts'

/** Between two pieces of a body; a client that stops in the middle of one must not hold its memory for ever. */
const STALL_LIMIT_MS = 60_000

/** Reads a body whole into one buffer of the length its head announces. Throws `bad-input`, `aborted`, `timeout`. */
export async function readBody(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  maxBytes: number,
): Promise<Buffer> {
  const length = Number(headers['content-length'] ?? 0)
  if (!(Number.isSafeInteger(length) && length >= 0 && length <= maxBytes)) {
    throw new LifeboatError(
      'bad-input',
      `a body of ${headers['content-length']} bytes, the most is ${maxBytes}`,
    )
  }
  const body = Buffer.allocUnsafeSlow(length)
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
    stream.once('close', () => reject(new LifeboatError('aborted', 'the caller went away')))
    stream.once('end', () => {
      stream.setTimeout(0)
      if (filled === length) resolve(body)
      else fail('bad-input', 'a body shorter than announced')
    })
  })
}
