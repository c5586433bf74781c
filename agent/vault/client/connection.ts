import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { splitAddress } from '../../../shared/rpc/address.ts'
import { type Identity, readSubject } from '../../../shared/rpc/certificates.ts'
import { keepAlive } from '../door/keepalive.ts'
import {
  CONNECTION_WINDOW_BYTES,
  FRAME_BYTES,
  lengthOf,
  PREFIX,
  parseError,
  STREAM_WINDOW_BYTES,
} from '../door/protocol.ts'
import { vaultLost } from './lost-vault.ts'

export interface VaultAddress {
  /** Its certificate must say so; the address is only where to find it. */
  readonly name: string
  /** host:port of its door for agents. */
  readonly address: string
}

export interface RequestOptions {
  readonly body?: readonly Buffer[]
  /** The answer lies in here when there is room for it. */
  readonly memory?: Buffer
  readonly limitMs: number
  readonly signal?: AbortSignal
  /** Whole lines of an answer that comes bit by bit. */
  readonly onLine?: (line: string) => void
}

/** One connection to a vault; requests on it share it. */
export interface VaultConnection {
  readonly isOpen: boolean
  /**
   * Resolves with the body of the answer, empty with `onLine`. Errors: what the vault threw, `unavailable` when the
   * connection breaks, `timeout`, `aborted`.
   */
  request(path: string, options: RequestOptions): Promise<Buffer>
  close(): void
}

const CONNECT_LIMIT_MS = 10_000
/** Nobody asks for it; without one, each request would make an error with a stack. */
const OVER = new LifeboatError('aborted', 'the request is over')

/** Connects. Errors: `unavailable`, `timeout`, `not-authenticated` for a host that is not that vault. */
export async function connectVault(
  vault: VaultAddress,
  identity: Identity,
  clock: Clock,
): Promise<VaultConnection> {
  const { host, port } = splitAddress(vault.address)
  const session = connect(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, {
    ca: identity.authorityPem,
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    servername: vault.name,
    minVersion: 'TLSv1.3',
    maxSessionMemory: 256,
    settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxFrameSize: FRAME_BYTES },
  })
  let broken: unknown
  session.on('error', error => {
    broken ??= error
  })
  await whenConnected(session, vault, clock)
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
  void keepAlive(session, clock)
  return {
    get isOpen() {
      return !session.closed && !session.destroyed
    },
    request: async (path, options) => {
      try {
        return await send(session, path, options, clock, vault)
      } catch (error) {
        if (error instanceof LifeboatError) throw error
        throw vaultLost(vault, 'broken', broken ?? error)
      }
    },
    close: () => session.destroy(),
  }
}

async function whenConnected(session: ClientHttp2Session, vault: VaultAddress, clock: Clock): Promise<void> {
  const over = new AbortController()
  try {
    await new Promise<void>((resolve, reject) => {
      session.once('connect', () => resolve())
      session.once('error', error => {
        const isStranger = (error as NodeJS.ErrnoException).code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        reject(
          isStranger
            ? new LifeboatError('not-authenticated', `${vault.address} is not ${vault.name}`, {
                cause: error,
              })
            : vaultLost(vault, 'silent', error),
        )
      })
      session.once('close', () => reject(vaultLost(vault, 'silent')))
      void clock.sleep(CONNECT_LIMIT_MS, over.signal).then(() => {
        if (!over.signal.aborted) reject(vaultLost(vault, 'slow'))
      })
    })
    const subject = readSubject((session.socket as TLSSocket).getPeerCertificate())
    if (subject?.role !== 'vault') {
      throw new LifeboatError('not-authenticated', `${vault.address} is ${subject?.name}, no vault`)
    }
  } catch (error) {
    session.destroy()
    throw error
  } finally {
    over.abort()
  }
}

async function send(
  session: ClientHttp2Session,
  path: string,
  options: RequestOptions,
  clock: Clock,
  vault: VaultAddress,
): Promise<Buffer> {
  const { body = [], signal } = options
  if (signal?.aborted) throw new LifeboatError('aborted', 'stopped on request')
  const stream = session.request({
    ':method': body.length > 0 ? 'POST' : 'GET',
    ':path': `${PREFIX}${path}`,
    'content-length': String(lengthOf(body)),
  })
  const over = new AbortController()
  let ending: LifeboatError | undefined
  const end = (error: LifeboatError): void => {
    ending = error
    stream.close(constants.NGHTTP2_CANCEL)
  }
  const onAbort = (): void => end(new LifeboatError('aborted', 'stopped on request'))
  signal?.addEventListener('abort', onAbort, { once: true })
  void clock.sleep(options.limitMs, over.signal).then(() => {
    if (!over.signal.aborted) end(vaultLost(vault, 'slow'))
  })
  try {
    stream.cork()
    for (const piece of body) stream.write(piece)
    stream.uncork()
    stream.end()
    return await readAnswer(stream, options)
  } catch (error) {
    throw ending ?? error
  } finally {
    over.abort(OVER)
    signal?.removeEventListener('abort', onAbort)
  }
}

async function readAnswer(
  stream: ClientHttp2Stream,
  { onLine, memory }: Pick<RequestOptions, 'onLine' | 'memory'>,
): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    let status: number | undefined
    let pieces: Collector | undefined
    stream.once('response', (answer: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      status = answer[':status']
      const isLines = onLine !== undefined && status === 200
      const length = Number(answer['content-length'] ?? 0)
      const collector = isLines ? collectLines(onLine) : collectBytes(length, memory)
      pieces = collector
      // Only now: data that came together with the head is told before the head is.
      stream.on('data', (piece: Buffer) => collector.add(piece))
    })
    stream.once('error', reject)
    // 'end' comes for a stream that was cut off too; only 'close' knows how it ended.
    stream.once('close', () => {
      const bytes = pieces?.finish()
      const isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR && bytes !== undefined
      if (status === 200 && isWhole) resolve(bytes)
      else if (status === undefined || status === 200) {
        reject(new Error(`the request was cut off (code ${stream.rstCode})`))
      } else reject(readError(bytes))
    })
  })
}

interface Collector {
  add(piece: Buffer): void
  /** Undefined when bytes are missing. */
  finish(): Buffer | undefined
}

/** Into one buffer of the announced length; errors come without one, and are short. */
function collectBytes(length: number, memory: Buffer | undefined): Collector {
  if (length === 0) {
    const pieces: Buffer[] = []
    return { add: piece => void pieces.push(piece), finish: () => Buffer.concat(pieces) }
  }
  const hasRoom = memory !== undefined && memory.length >= length
  const bytes = hasRoom ? memory.subarray(0, length) : Buffer.allocUnsafeSlow(length)
  let filled = 0
  return {
    add: piece => {
      filled += piece.copy(bytes, filled)
    },
    finish: () => (filled === length ? bytes : undefined),
  }
}

function collectLines(onLine: (line: string) => void): Collector {
  let pending = ''
  return {
    add: piece => {
      const lines = (pending + piece.toString('latin1')).split('\n')
      pending = lines.pop() ?? ''
      for (const line of lines) onLine(Buffer.from(line, 'latin1').toString('utf8'))
    },
    finish: () => Buffer.alloc(0),
  }
}

function readError(bytes: Buffer | undefined): LifeboatError {
  try {
    return parseError((JSON.parse(bytes?.toString('utf8') ?? '') as { error?: unknown }).error)
  } catch {
    return parseError(undefined)
  }
}
