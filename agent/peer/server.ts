import type { AddressInfo, Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Clock } from '../../shared/clock.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import { formatAddress, splitAddress } from '../../shared/rpc/address.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'
import type { MoveRow, MoveStore } from '../store/move-store.ts'
import { decideDoor } from './door.ts'
import {
  formatLine,
  HEADER_LIMIT_MS,
  MAX_LINE_BYTES,
  type PeerAnswer,
  type PeerHeader,
  parseHeader,
} from './header.ts'
import { readLine } from './streams.ts'

/** How long a connection whose talk is over may stay half open. */
const LINGER_MS = 10_000

/** What the target does for each kind of talk. */
export interface PeerHandlers {
  message(header: PeerHeader, move: MoveRow): Promise<Omit<PeerAnswer, 'ok'>>
  /**
   * `accept` is called once, before raw bytes are touched. Returns what is said after the bytes; undefined for
   * channels that carry somebody else's protocol, which must not see a line of ours.
   */
  bytes(
    header: PeerHeader,
    move: MoveRow,
    socket: TLSSocket,
    accept: () => void,
  ): Promise<Omit<PeerAnswer, 'ok'> | undefined>
}

export interface PeerServer {
  /** host:port as bound; the port asked for may have been 0. */
  readonly address: string
  readonly port: number
  /** Destroys every connection of that move: its door is closed. */
  closeMove(moveId: string): void
  /** New connections use the new certificate. */
  renew(identity: Identity): void
  close(): Promise<void>
}

export interface PeerServerOptions {
  /** host:port to bind; port 0 picks one. */
  readonly listen: string
  readonly identity: Identity
  readonly moves: MoveStore
  readonly handlers: PeerHandlers
  readonly clock: Clock
  readonly log: Logger
}

/** Listens on the peer port. Throws `unavailable` when the port is in use. */
export async function createPeerServer(options: PeerServerOptions): Promise<PeerServer> {
  const { log } = options
  // Raw connections too: one that never ends its handshake would keep the server from closing.
  const all = new Set<Socket>()
  const track = (socket: Socket): void => {
    all.add(socket)
    socket.on('close', () => all.delete(socket))
  }
  const byMove = new Map<string, Set<TLSSocket>>()
  // rejectUnauthorized false: a refused certificate shall be a line in the log, not only a broken handshake.
  const server = createServer(
    {
      ...tlsMaterial(options.identity),
      requestCert: true,
      rejectUnauthorized: false,
      allowHalfOpen: true,
      handshakeTimeout: HEADER_LIMIT_MS,
    },
    socket => {
      track(socket)
      socket.on('error', () => {})
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 10_000)
      void serveConnection(socket, options, byMove)
    },
  )
  server.on('connection', track)
  server.on('tlsClientError', (error, socket) =>
    log.warn('peer handshake failed', { from: socket.remoteAddress ?? '', error: formatErrorChain(error) }),
  )
  const { host, port } = await listen(server, options.listen)

  return {
    address: formatAddress(host, port),
    port,
    closeMove: moveId => {
      for (const socket of byMove.get(moveId) ?? []) socket.destroy()
    },
    renew: identity => server.setSecureContext(tlsMaterial(identity)),
    close: async () => {
      for (const socket of all) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function listen(server: Server, address: string): Promise<{ host: string; port: number }> {
  const { host, port } = splitAddress(address)
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      const message = inUse
        ? `peer port ${port} is in use: another lifeboat-agent, or set [peer] listen in agent.toml`
        : `cannot listen on ${address}`
      reject(new LifeboatError('unavailable', message, { cause: error }))
    })
    server.listen(port, host, resolve)
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

async function serveConnection(
  socket: TLSSocket,
  options: PeerServerOptions,
  byMove: Map<string, Set<TLSSocket>>,
): Promise<void> {
  const { clock, log, moves, handlers } = options
  const from = socket.remoteAddress ?? 'unknown'
  let what = ''
  /** False while the socket carries another protocol: then an error can only be shown by ending it. */
  let ours = true
  const answer = (value: PeerAnswer): void => void socket.write(formatLine(value))
  try {
    const peerName = bladeOf(socket)
    const line = await readLine(socket, { maxBytes: MAX_LINE_BYTES, timeoutMs: HEADER_LIMIT_MS }, clock)
    const header = parseHeader(line)
    what = `'${header.channel}' of move ${header.moveId} `
    const move = moves.load(header.moveId)
    const decision = decideDoor(header, peerName, move)
    if (!decision.open || move === undefined) {
      throw decision.open
        ? new LifeboatError('not-found', 'no such move')
        : new LifeboatError(decision.code, decision.message)
    }
    const untrack = trackMove(byMove, header.moveId, socket)
    try {
      if (isByteChannel(header)) {
        const last = await handlers.bytes(header, move, socket, () => {
          answer({ ok: true })
          ours = header.channel === 'copy' || header.channel === 'definition'
        })
        if (last !== undefined) answer({ ok: true, ...last })
      } else answer({ ok: true, ...(await handlers.message(header, move)) })
      socket.setTimeout(LINGER_MS, () => socket.destroy())
      socket.end()
    } finally {
      untrack()
    }
  } catch (error) {
    log.warn(`peer ${what}refused or broken`, { from, error: formatErrorChain(error) })
    // Cutting it off at once could overtake the answer; waiting for the other's end for ever would be a leak.
    socket.setTimeout(LINGER_MS, () => socket.destroy())
    if (ours && socket.writable) {
      socket.end(formatLine({ ok: false, code: errorCode(error), message: formatErrorChain(error) }))
    } else socket.destroy()
  }
}

/** The blade a connection speaks for. Throws `not-authenticated` or `not-allowed`. */
function bladeOf(socket: TLSSocket): string {
  if (!socket.authorized) {
    const cause = socket.authorizationError
    throw new LifeboatError('not-authenticated', 'no valid certificate of this fleet', cause ? { cause } : {})
  }
  const { CN, OU } = socket.getPeerCertificate().subject
  if (String(OU) !== 'blade' || typeof CN !== 'string') {
    throw new LifeboatError('not-allowed', `a certificate of role '${String(OU)}' may not use the peer port`)
  }
  return CN
}

function isByteChannel(header: PeerHeader): boolean {
  return !['begin', 'released', 'state'].includes(header.channel)
}

function trackMove(byMove: Map<string, Set<TLSSocket>>, moveId: string, socket: TLSSocket): () => void {
  const sockets = byMove.get(moveId) ?? new Set()
  byMove.set(moveId, sockets.add(socket))
  return () => {
    sockets.delete(socket)
    if (sockets.size === 0) byMove.delete(moveId)
  }
}
