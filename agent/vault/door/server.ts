import { createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock } from '../../../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import { formatAddress, splitAddress } from '../../../shared/rpc/address.ts'
import type { Identity } from '../../../shared/rpc/certificates.ts'
import type { Vault } from '../vault.ts'
import { serveConnection } from './connection.ts'
import { keepAlive } from './keepalive.ts'
import { FRAME_BYTES, STREAM_WINDOW_BYTES } from './protocol.ts'

const HANDSHAKE_LIMIT_MS = 10_000
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
      maxFrameSize: FRAME_BYTES,
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
