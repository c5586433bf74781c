import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { Vault } from '../vault.ts'
import { type BodyBuffers, readBody } from './body.ts'
import { formatError, lengthOf, PREFIX, statusOf } from './protocol.ts'
import { type Answer, ROUTES, type SessionTable } from './routes.ts'

/** Answers one request; what it rejects with is for `answerError`. */
export async function serveRequest(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  vault: Vault | LifeboatError,
  sessions: SessionTable,
  buffers: BodyBuffers,
): Promise<void> {
  if (vault instanceof LifeboatError) throw vault
  const path = String(headers[':path'])
  const [name = '', ...args] = path.startsWith(PREFIX)
    ? path.slice(PREFIX.length).split('/').map(decodeWord)
    : []
  const route = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined
  if (route === undefined) {
    throw new LifeboatError('version-mismatch', `the vault does not know '${path}': its version differs`)
  }
  const gone = new AbortController()
  const onClose = (): void => gone.abort()
  stream.once('close', onClose)
  const body = await readBody(stream, headers, route.maxBytes, buffers)
  if (route.lines) stream.respond({ ':status': 200 })
  const tell = (line: unknown): void => {
    if (!stream.destroyed) stream.write(`${JSON.stringify(line)}\n`)
  }
  try {
    const answer = await route.handle({ vault, sessions, args, body, buffers, signal: gone.signal, tell })
    const giveBack = () => {
      if ('memory' in answer && answer.memory !== undefined) buffers.give(answer.memory)
    }
    if (!stream.destroyed) sendAnswer(stream, answer, giveBack)
  } finally {
    buffers.give(body)
    // Each stream closes: to abort what is over makes an error with a stack, for nobody.
    stream.off('close', onClose)
  }
}

function decodeWord(word: string): string {
  try {
    return decodeURIComponent(word)
  } catch (error) {
    throw new LifeboatError('bad-input', 'a path that cannot be read', { cause: error })
  }
}

/** `onSent`: nothing looks at the bytes any more. */
function sendAnswer(stream: ServerHttp2Stream, answer: Answer, onSent: () => void): void {
  if ('lines' in answer) {
    stream.end(`${JSON.stringify(answer.last)}\n`)
    return
  }
  const pieces = 'bytes' in answer ? answer.bytes : [Buffer.from(JSON.stringify(answer.json))]
  stream.respond({ ':status': 200, 'content-length': lengthOf(pieces) })
  stream.cork()
  for (const piece of pieces) {
    // Not 'finish', which a stream that ends here never tells.
    stream.write(piece, error => {
      if (piece === pieces.at(-1) && !error) onSent()
    })
  }
  stream.uncork()
  stream.end()
}

/** Also after the head of an answer in lines is gone: then the error is the last line. */
export function answerError(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed || stream.closed) return
  const body = `${JSON.stringify({ error: formatError(error) })}\n`
  if (!stream.headersSent) stream.respond({ ':status': statusOf(errorCode(error)) })
  stream.end(body, () => {
    // What still comes of the caller's body is not waited for.
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  })
}
