import type { CallOptions, Client, ClientUnaryCall, ServiceError } from '@grpc/grpc-js'
import { Metadata } from '@grpc/grpc-js'
import { systemClock } from '../clock.ts'
import { LifeboatError } from '../errors.ts'
import { fromStatus } from './status.ts'

export interface RequestOptions {
  /** Always: a request without a limit outlives the interest in it. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall

/** The unary methods of a generated client, by name. */
export type UnaryNames<C> = {
  [Name in keyof C]: C[Name] extends UnaryMethod<infer _Request, infer _Response> ? Name : never
}[Exclude<keyof C, keyof Client>]
export type RequestOf<Method> = Method extends UnaryMethod<infer Request, infer _Response> ? Request : never
export type ResponseOf<Method> = Method extends UnaryMethod<infer _Request, infer Response> ? Response : never

/**
 * One question, one answer: `await unary(client, 'getStatus', {}, { timeoutMs: 5000 })`.
 * Errors: the LifeboatError the server threw; `unavailable`, `timeout`, `aborted`, `version-mismatch` from between.
 */
export async function unary<C extends Client, Name extends UnaryNames<C>>(
  client: C,
  method: Name,
  request: RequestOf<C[Name]>,
  options: RequestOptions,
): Promise<ResponseOf<C[Name]>> {
  if (options.signal?.aborted)
    throw new LifeboatError('aborted', 'the request was stopped before it was sent')
  const call = client[method] as UnaryMethod<RequestOf<C[Name]>, ResponseOf<C[Name]>>
  // grpc-js measures its deadlines on the system clock, so an injected clock would only disagree with it.
  const deadline = systemClock.now() + options.timeoutMs
  return await new Promise((resolve, reject) => {
    const running = call.call(client, request, new Metadata(), { deadline }, (error, response) => {
      options.signal?.removeEventListener('abort', onAbort)
      if (error === null) resolve(response)
      else reject(fromStatus(error))
    })
    const onAbort = (): void => running.cancel()
    options.signal?.addEventListener('abort', onAbort, { once: true })
  })
}
