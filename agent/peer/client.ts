import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { splitAddress } from '../../shared/rpc/address.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'
import { formatLine, MAX_LINE_BYTES, type PeerAnswer, type PeerHeader, parseAnswer } from './header.ts'
import { readLine } from './streams.ts'

/** Another blade's agent: its name is what its certificate must say, the address only where to find it. */
export interface PeerAddress {
  readonly blade: string
  /** host:port */
  readonly address: string
}

/** Every message is short; the longest is the one that makes the target's hypervisor drop or resume a VM. */
export const MESSAGE_LIMIT_MS = 30_000
const CONNECT_LIMIT_MS = 10_000

export interface DialledPeer {
  /** Once. Errors as of PeerClient.ask. */
  ask(header: PeerHeader): Promise<PeerAnswer>
  close(): void
}

export interface PeerClient {
  /** Sends one message and returns the answer. Throws `unavailable`, `timeout`, or the error the peer answered. */
  ask(peer: PeerAddress, header: PeerHeader, signal?: AbortSignal): Promise<PeerAnswer>
  /** Connects now for one message later: where each millisecond counts, the handshake is done ahead. */
  dial(peer: PeerAddress, signal?: AbortSignal): Promise<DialledPeer>
  /** Opens a byte channel: after the peer agreed, what is read and written is raw. The caller destroys the socket. */
  open(peer: PeerAddress, header: PeerHeader, signal?: AbortSignal): Promise<TLSSocket>
}

/** `identity` is asked for each connection: certificates are renewed while the agent runs. */
export function createPeerClient(options: { identity: () => Identity; clock: Clock }): PeerClient {
  const { clock } = options

  async function talk(socket: TLSSocket, peer: PeerAddress, header: PeerHeader, signal?: AbortSignal) {
    const onAbort = (): void => void socket.destroy()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      socket.write(formatLine(header))
      const line = await readLine(socket, { maxBytes: MAX_LINE_BYTES, timeoutMs: MESSAGE_LIMIT_MS }, clock)
      return parseAnswer(line)
    } catch (error) {
      socket.destroy()
      throw wrap(`${peer.blade} did not agree to '${header.channel}'`, error)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  const connectPeer = (peer: PeerAddress, signal?: AbortSignal): Promise<TLSSocket> =>
    connectTo(peer, options.identity(), clock, signal)

  return {
    ask: async (peer, header, signal) => {
      const socket = await connectPeer(peer, signal)
      const answer = await talk(socket, peer, header, signal)
      socket.destroy()
      return answer
    },
    dial: async (peer, signal) => {
      const socket = await connectPeer(peer, signal)
      return {
        ask: async header => {
          const answer = await talk(socket, peer, header, signal)
          socket.destroy()
          return answer
        },
        close: () => void socket.destroy(),
      }
    },
    open: async (peer, header, signal) => {
      const socket = await connectPeer(peer, signal)
      await talk(socket, peer, header, signal)
      return socket
    },
  }
}

/** Reads one more answer line of an open channel, after the bytes (a copy is acknowledged this way). */
export async function readAnswer(socket: TLSSocket, timeoutMs: number, clock: Clock): Promise<PeerAnswer> {
  return parseAnswer(await readLine(socket, { maxBytes: MAX_LINE_BYTES, timeoutMs }, clock))
}

async function connectTo(
  peer: PeerAddress,
  identity: Identity,
  clock: Clock,
  signal?: AbortSignal,
): Promise<TLSSocket> {
  if (signal?.aborted === true)
    throw new LifeboatError('aborted', `stopped before connecting to ${peer.blade}`)
  const { host, port } = splitAddress(peer.address)
  const options: ConnectionOptions & { allowHalfOpen: boolean } = {
    host,
    port,
    // The certificate must be that of the blade the controller named, wherever the address leads.
    servername: peer.blade,
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca: identity.authorityPem,
    minVersion: 'TLSv1.3',
    allowHalfOpen: true,
  }
  const socket = connect(options)
  // Errors after the handshake are seen by whoever reads; without a listener they would end the process.
  socket.on('error', () => {})
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 10_000)
  const settled = new AbortController()
  const limit = signal === undefined ? settled.signal : AbortSignal.any([settled.signal, signal])
  const secured = new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(new LifeboatError('unavailable', 'the connection was closed')))
  })
  secured.catch(() => {})
  const late = clock.sleep(CONNECT_LIMIT_MS, limit).then(() => {
    throw new LifeboatError('timeout', `no connection within ${CONNECT_LIMIT_MS} ms`)
  })
  try {
    await Promise.race([secured, late])
  } catch (error) {
    socket.destroy()
    throw wrap(`cannot reach the agent of ${peer.blade} at ${peer.address}`, error)
  } finally {
    late.catch(() => {})
    settled.abort()
  }
  return socket
}

function wrap(message: string, error: unknown): LifeboatError {
  // A certificate that does not fit comes as a plain Error of TLS; like a refused connection it may be mended by
  // the time of the next try, and the chain says which it was.
  const code = error instanceof LifeboatError ? error.code : 'unavailable'
  return new LifeboatError(code, message, { cause: error })
}
