import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../../shared/clock.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import { formatAddress, splitAddress } from '../../../shared/rpc/address.ts'
import { type Identity, readSubject } from '../../../shared/rpc/certificates.ts'
import type { BackupSession, Vault } from '../vault.ts'
import { type BodyBuffers, createBodyBuffers, readBody } from './body.ts'
import { keepAlive } from './keepalive.ts'
import {
  CONNECTION_WINDOW_BYTES,
  formatError,
  lengthOf,
  PREFIX,
  STREAM_WINDOW_BYTES,
  statusOf,
} from './protocol.ts'
import { type Answer, ROUTES, type SessionTable } from './routes.ts'

const HANDSHAKE_LIMIT_MS = 10_000
/** A connection nobody asks anything on; its owner connects again. */
const IDLE_LIMIT_MS = 10 * 60_000
/** One transfer has a few requests under way; a body each lies in memory. */
const MAX_STREAMS = 16

export interface VaultDoorOptions {
  /** host:port to bind; port 0 picks one. */
  readonly listen: string
  readonly identity: Identity
  /** The vault as that blade may see it; the door never closes it. */
  readonly vaultFor: (blade: string) => Vault
  readonly clock: Clock
  readonly log: Logger
}

export interface VaultDoor {
  /** host:port as bound; the port asked for may have been 0. */
  readonly address: string
  readonly port: number
  /** New connections use the new certificate. */
  renew(identity: Identity): void
  /** Cuts every connection: the backups coming in are aborted. */
  close(): Promise<void>
}

/**
 * The vault's door for agents: HTTP/2 over TLS with certificates of the fleet on both sides, role `blade` only. A backup
 * belongs to the connection it began on, and is aborted when that ends. Throws `unavailable` when the port is in use.
 */
export async function createVaultDoor(options: VaultDoorOptions): Promise<VaultDoor> {
  const { log, clock } = options
  // Raw connections too: one that never ends its handshake would keep the server from closing.
  const sockets = new Set<Socket>()
  const ends = new Set<Promise<void>>()
  // rejectUnauthorized false: a refused certificate shall be a line in the log, and an answer that says why.
  const server = createSecureServer({
    ...tlsMaterial(options.identity),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
    maxSessionMemory: 256,
    settings: {
      enablePush: false,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxConcurrentStreams: MAX_STREAMS,
    },
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', (error, socket) =>
    log.warn('vault door: handshake failed', {
      from: socket.remoteAddress ?? '',
      error: formatErrorChain(error),
    }),
  )
  server.on('unknownProtocol', socket => socket.destroy())
  // Broken connections are told by the requests that were under way.
  server.on('sessionError', () => {})
  server.on('session', session => {
    void keepAlive(session, clock)
    const end = serveConnection(session, options)
    ends.add(end)
    void end.finally(() => ends.delete(end))
  })
  const { host, port } = await listen(server, options.listen)
  return {
    address: formatAddress(host, port),
    port,
    renew: identity => server.setSecureContext(tlsMaterial(identity)),
    close: async () => {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
      await Promise.all(ends)
    },
  }
}

async function listen(server: Http2SecureServer, address: string): Promise<{ host: string; port: number }> {
  const { host, port } = splitAddress(address)
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      const message = inUse
        ? `port ${port} is in use: \`ss -ltnp 'sport = :${port}'\` shows by whom`
        : `cannot listen on ${address}`
      reject(new LifeboatError('unavailable', message, { cause: error }))
    })
    server.listen(port, host, () => resolve())
  })
  return { host, port: (server.address() as AddressInfo).port }
}

function tlsMaterial(identity: Identity) {
  return {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca: identity.authorityPem,
    minVersion: 'TLSv1.3' as const,
  }
}

/** Resolves when the connection has ended and its backups are aborted. */
async function serveConnection(session: ServerHttp2Session, options: VaultDoorOptions): Promise<void> {
  const { log } = options
  const from = session.socket?.remoteAddress ?? 'unknown'
  const caller = callerOf(session.socket as TLSSocket)
  const who = caller instanceof LifeboatError ? 'nobody' : caller
  const vault = caller instanceof LifeboatError ? undefined : options.vaultFor(caller)
  const open = new Map<string, BackupSession>()
  const sessions = createSessionTable(open)
  const buffers = createBodyBuffers()
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
  session.setTimeout(IDLE_LIMIT_MS, () => {
    if (open.size === 0) session.close()
  })
  session.on('error', () => {})
  session.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    const what = String(headers[':path'])
    serveRequest(stream, headers, vault ?? (caller as LifeboatError), sessions, buffers).catch(error => {
      log.warn('vault door: refused or broken', { from, who, what, error: formatErrorChain(error) })
      answerError(stream, error)
      if (vault === undefined) session.close()
    })
  })
  await new Promise<void>(resolve => session.once('close', resolve))
  for (const [id, backup] of open) {
    await backup.abort().catch(error => log.warn('vault door: cannot abort', { from, who, id, error }))
  }
}

/** The blade a connection speaks for, or why it is none: `not-authenticated`, `not-allowed`. */
function callerOf(socket: TLSSocket): string | LifeboatError {
  if (!socket.authorized) {
    const cause = socket.authorizationError
    return new LifeboatError(
      'not-authenticated',
      'no valid certificate of this fleet',
      cause ? { cause } : {},
    )
  }
  const subject = readSubject(socket.getPeerCertificate())
  if (subject?.role === 'blade') return subject.name
  return new LifeboatError('not-allowed', `a certificate of role '${subject?.role}' may not use this door`)
}

function createSessionTable(open: Map<string, BackupSession>): SessionTable {
  const listed = new Map<string, BackupSession>()
  let count = 0
  return {
    add: session => {
      const id = String(++count)
      open.set(id, session)
      return id
    },
    get: id => {
      const session = open.get(id) ?? listed.get(id)
      if (session !== undefined) return session
      throw new LifeboatError('not-found', 'no such backup on this connection')
    },
    keep: id => {
      const session = open.get(id)
      if (session !== undefined) listed.set(id, session)
      open.delete(id)
    },
    remove: id => void open.delete(id),
  }
}

async function serveRequest(
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
  stream.once('close', () => gone.abort())
  const body = await readBody(stream, headers, route.maxBytes, buffers)
  if (route.lines) stream.respond({ ':status': 200 })
  const tell = (line: unknown): void => {
    if (!stream.destroyed) stream.write(`${JSON.stringify(line)}\n`)
  }
  try {
    const answer = await route.handle({ vault, sessions, args, body, signal: gone.signal, tell })
    if (!stream.destroyed) sendAnswer(stream, answer)
  } finally {
    buffers.give(body)
  }
}

function decodeWord(word: string): string {
  try {
    return decodeURIComponent(word)
  } catch (error) {
    throw new LifeboatError('bad-input', 'a path that cannot be read', { cause: error })
  }
}

function sendAnswer(stream: ServerHttp2Stream, answer: Answer): void {
  if ('lines' in answer) {
    stream.end(`${JSON.stringify(answer.last)}\n`)
    return
  }
  const pieces = 'bytes' in answer ? answer.bytes : [Buffer.from(JSON.stringify(answer.json))]
  stream.respond({ ':status': 200, 'content-length': lengthOf(pieces) })
  stream.cork()
  for (const piece of pieces) stream.write(piece)
  stream.uncork()
  stream.end()
}

/** Also after the head of an answer in lines is gone: then the error is the last line. */
function answerError(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed || stream.closed) return
  const body = `${JSON.stringify({ error: formatError(error) })}\n`
  if (!stream.headersSent) stream.respond({ ':status': statusOf(errorCode(error)) })
  stream.end(body, () => {
    // What still comes of the caller's body is not waited for.
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  })
}
