import { chmod, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { Clock } from '../clock.ts'
import { errorCode, LifeboatError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { type AnyCall, MAX_MESSAGE_BYTES, type Peer, peerOf } from './credentials.ts'
import { toStatus } from './status.ts'

/** What a handler may know of its call. */
export interface CallContext {
  /** `/lifeboat.v1.Admin/GetStatus` */
  readonly method: string
  readonly peer: Peer
  /** Aborted when the client is gone or has cancelled. */
  readonly signal: AbortSignal
}

type Unary<Request, Response> = (request: Request, context: CallContext) => Promise<Response> | Response
/** Messages are pulled as fast as the client takes them; the signal tells a generator to end. */
type ServerStream<Request, Response> = (request: Request, context: CallContext) => AsyncIterable<Response>
/** The call stands until the returned promise settles; then the server ends it with that outcome. */
type Duplex<Request, Response> = (
  stream: ServerDuplexStream<Request, Response>,
  context: CallContext,
) => Promise<void>

type HandlerOf<Method> = Method extends {
  requestStream: infer RequestStream
  responseStream: infer ResponseStream
  requestDeserialize: (bytes: Buffer) => infer Request
  responseDeserialize: (bytes: Buffer) => infer Response
}
  ? RequestStream extends true
    ? Duplex<Request, Response>
    : ResponseStream extends true
      ? ServerStream<Request, Response>
      : Unary<Request, Response>
  : never

/** One async function per method of the generated service; what they throw becomes the call's status. */
export type Implementation<Definition> = { readonly [Name in keyof Definition]: HandlerOf<Definition[Name]> }

export interface RpcService {
  readonly definition: ServiceDefinition
  readonly implementation: Readonly<Record<string, unknown>>
}

/** Ties an implementation to its definition, so that a missing or misspelled method does not compile. */
export function rpcService<Definition extends ServiceDefinition>(
  definition: Definition,
  implementation: Implementation<Definition>,
): RpcService {
  return { definition, implementation: implementation as Readonly<Record<string, unknown>> }
}

export interface ServerOptions {
  readonly log: Logger
  /** Runs before each handler; throws `not-authenticated` or `not-allowed`. Each refusal is logged with the address. */
  readonly authorise: (context: CallContext) => void
}

/** A server whose handlers are plain async functions. Bind it with `serve`, end it with `stopServer`. */
export function createServer(services: readonly RpcService[], options: ServerOptions): Server {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    // Agents ping every 10 s without a call under way; the default of the server is to take that for abuse.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    'grpc.http2.min_ping_interval_without_data_ms': 1000,
  } as Record<string, number>)
  for (const { definition, implementation } of services) {
    server.addService(definition, wrapAll(definition, implementation, options))
  }
  return server
}

function wrapAll(
  definition: ServiceDefinition,
  implementation: RpcService['implementation'],
  options: ServerOptions,
): UntypedServiceImplementation {
  const wrapped: Record<string, UntypedHandleCall> = {}
  for (const [name, method] of Object.entries(definition)) {
    const handler = implementation[name]
    if (handler === undefined) throw new LifeboatError('internal', `no handler for ${method.path}`)
    wrapped[name] = wrap(method, handler, options)
  }
  return wrapped
}

function wrap(
  method: MethodDefinition<unknown, unknown>,
  handler: unknown,
  options: ServerOptions,
): UntypedHandleCall {
  const guard = new Guard(method.path, options)
  if (method.requestStream) return wrapDuplex(guard, handler as Duplex<unknown, unknown>)
  if (method.responseStream) return wrapServerStream(guard, handler as ServerStream<unknown, unknown>)
  return wrapUnary(guard, handler as Unary<unknown, unknown>)
}

function wrapUnary(guard: Guard, handler: Unary<unknown, unknown>): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    const answer = async () => {
      const context = guard.admit(call)
      return await handler(call.request, context)
    }
    answer().then(
      response => callback(null, response),
      error => callback(guard.statusOf(error, call)),
    )
  }
}

function wrapServerStream(
  guard: Guard,
  handler: ServerStream<unknown, unknown>,
): handleServerStreamingCall<unknown, unknown> {
  return call => {
    const pump = async () => {
      const context = guard.admit(call)
      for await (const message of handler(call.request, context)) {
        if (context.signal.aborted) return
        if (!call.write(message)) await whenDrained(call, context.signal)
      }
    }
    pump().then(
      () => call.end(),
      error => endWithError(call, guard.statusOf(error, call)),
    )
  }
}

function wrapDuplex(
  guard: Guard,
  handler: Duplex<unknown, unknown>,
): handleBidiStreamingCall<unknown, unknown> {
  return call => {
    // A client that vanishes makes 'error' here too; the handler learns it by the signal and by the stream's end.
    call.on('error', () => {})
    const answer = async () => {
      const context = guard.admit(call)
      await handler(call, context)
    }
    answer().then(
      () => call.end(),
      error => endWithError(call, guard.statusOf(error, call)),
    )
  }
}

async function whenDrained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    call.once('drain', resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** grpc-js takes the status of a streaming call from an 'error' event. */
function endWithError(call: { emit(name: 'error', error: unknown): boolean }, status: unknown): void {
  call.emit('error', status)
}

/** Lets calls in, and turns what handlers throw into statuses; each refusal and each defect leaves one line. */
class Guard {
  readonly #method: string
  readonly #options: ServerOptions

  constructor(method: string, options: ServerOptions) {
    this.#method = method
    this.#options = options
  }

  /** Throws what `authorise` throws. */
  admit(call: AnyCall & { once(name: 'cancelled', listener: () => void): unknown }): CallContext {
    const gone = new AbortController()
    call.once('cancelled', () => gone.abort())
    const context = { method: this.#method, peer: peerOf(call), signal: gone.signal }
    this.#options.authorise(context)
    return context
  }

  statusOf(error: unknown, call: AnyCall): ReturnType<typeof toStatus> {
    const code = errorCode(error)
    const { role, name, address } = peerOf(call)
    const fields = { method: this.#method, peer: name, role, address, error }
    if (code === 'not-allowed' || code === 'not-authenticated')
      this.#options.log.warn('request refused', fields)
    else if (code === 'internal') this.#options.log.error('request failed', fields)
    else this.#options.log.debug('request ended with an error', fields)
    return toStatus(error)
  }
}

export interface ServeAddress {
  /** `0.0.0.0:7420`, `[::]:7420`, port 0 for any free one, or `unix:/run/lifeboat/controller.sock`. */
  readonly address: string
  readonly credentials: ServerCredentials
  /** Of the UNIX socket's file: who may connect. Default 0o600. */
  readonly mode?: number
}

/**
 * Binds all addresses or none; resolves with the ports in their order (1 for a UNIX socket).
 * Errors: `unavailable` with what to do when a port is in use or may not be bound.
 */
export async function serve(server: Server, addresses: readonly ServeAddress[]): Promise<number[]> {
  const ports: number[] = []
  try {
    for (const { address, credentials, mode } of addresses) {
      const path = unixPath(address)
      if (path !== undefined) await removeStaleSocket(path)
      ports.push(await bind(server, address, credentials))
      if (path !== undefined) await chmod(path, mode ?? 0o600)
    }
  } catch (error) {
    server.forceShutdown()
    throw error
  }
  return ports
}

async function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port)
      else reject(bindFailure(address, error))
    })
  })
}

function bindFailure(address: string, error: Error): LifeboatError {
  const port = address.slice(address.lastIndexOf(':') + 1)
  if (error.message.includes('EADDRINUSE')) {
    const message = `port ${port} is in use: \`ss -ltnp 'sport = :${port}'\` shows by whom`
    return new LifeboatError('unavailable', message, { cause: error })
  }
  return new LifeboatError('unavailable', `cannot listen on ${address}`, { cause: error })
}

function unixPath(address: string): string | undefined {
  return address.startsWith('unix:') ? address.slice('unix:'.length) : undefined
}

/** A killed process leaves its socket file behind; it is removed only when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  if (await isAnswering(path)) {
    throw new LifeboatError('unavailable', `${path} is in use: another process answers on it`)
  }
  try {
    await unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new LifeboatError('unavailable', `cannot remove the old socket ${path}`, { cause: error })
  }
}

async function isAnswering(path: string): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Lets calls under way end, at most `limitMs`, then cuts them. Streams that never end should be ended before. */
export async function stopServer(server: Server, limitMs: number, clock: Clock): Promise<void> {
  const over = new AbortController()
  const graceful = new Promise<void>(resolve => server.tryShutdown(() => resolve()))
  await Promise.race([graceful, clock.sleep(limitMs, over.signal)])
  over.abort()
  server.forceShutdown()
}
