import { once } from 'node:events'
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  logVerbosity,
  type MethodDefinition,
  Server,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
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
  // grpc-js prints to standard error by itself; all it could say reaches us as an error that is told in our words.
  setLogVerbosity(logVerbosity.NONE)
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
    // `for await` over a stream destroys it when left by an error, and a destroyed call can send no status any more:
    // the client would wait for ever.
    call[Symbol.asyncIterator] = () => call.iterator({ destroyOnReturn: false })
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

/** Also over when the client leaves or the call breaks: the loop sees that by its signal. */
async function whenDrained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  await once(call, 'drain', { signal }).catch(() => {})
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
