import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ChannelOptions, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { AdminService, type Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { channelOptions, createChannelCredentials } from '../../shared/rpc/endpoint.ts'
import { fromStatus } from '../../shared/rpc/status.ts'
import { readSimulationRecord, simulationRecordPath } from '../../shared/simulation.ts'

type Definitions = typeof AdminService
type UnaryMethod = Exclude<keyof Definitions, 'watchOperation'>
type RequestOf<M extends keyof Definitions> = Parameters<Definitions[M]['requestSerialize']>[0]
type ResponseOf<M extends keyof Definitions> = ReturnType<Definitions[M]['responseDeserialize']>

/** A connection to the controller's Admin service. Errors are LifeboatErrors. */
export interface AdminConnection {
  ask<M extends UnaryMethod>(method: M, request: RequestOf<M>): Promise<ResponseOf<M>>
  /** The operation each time it changes, until it has ended. */
  watch(operationId: string, signal: AbortSignal): AsyncIterable<Operation>
  close(): void
}

export interface Destination {
  /** What error messages call it. */
  readonly label: string
  readonly address: string
  /** Directory with certificate.pem, key.pem, authority.pem of role admin; undefined for the local socket. */
  readonly identityDirectory: string | undefined
}

const SYSTEM_SOCKET = '/run/lifeboat/controller.sock'
/** An answer is a read of memory and SQLite, or the writing of an intent: 30 s is a controller in trouble. */
const DEADLINE_MS = 30_000

/**
 * Where the controller is: an explicit choice, else the socket of this host's controller, else that of a simulated
 * chassis running under the same user.
 */
export function findController(
  options: { socket?: string | undefined; controller?: string | undefined; identity?: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
): Destination {
  const remote = options.controller ?? env.LIFEBOAT_CONTROLLER
  if (remote !== undefined) {
    const address = remote.includes(':') ? remote : `${remote}:7420`
    const identityDirectory =
      options.identity ?? env.LIFEBOAT_IDENTITY ?? join(env.HOME ?? '', '.config/lifeboat')
    return { label: `the controller at ${address}`, address, identityDirectory }
  }
  const socket = options.socket ?? env.LIFEBOAT_SOCKET ?? localSocket(env)
  return {
    label: `the controller's socket ${socket}`,
    address: `unix:${socket}`,
    identityDirectory: undefined,
  }
}

function localSocket(env: Readonly<Record<string, string | undefined>>): string {
  if (existsSync(SYSTEM_SOCKET)) return SYSTEM_SOCKET
  return readSimulationRecord(simulationRecordPath(env))?.adminSocket ?? SYSTEM_SOCKET
}

export function connect(destination: Destination): AdminConnection {
  const client = new Client(destination.address, ...transport(destination))
  return {
    ask: (method, request) => ask(client, destination, method, request),
    watch: (operationId, signal) => watch(client, destination, operationId, signal),
    close: () => client.close(),
  }
}

function transport(
  destination: Destination,
): [ReturnType<typeof credentials.createInsecure>, ChannelOptions] {
  const directory = destination.identityDirectory
  if (directory === undefined) return [credentials.createInsecure(), {}]
  const read = (name: string) => {
    const path = join(directory, name)
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      throw new LifeboatError(
        'not-authenticated',
        `cannot read ${path}: a remote controller wants a certificate of role admin`,
        { cause: error },
      )
    }
  }
  const identity = {
    certificatePem: read('certificate.pem'),
    privateKeyPem: read('key.pem'),
    authorityPem: read('authority.pem'),
  }
  return [createChannelCredentials(identity), channelOptions('controller')]
}

function ask<M extends UnaryMethod>(
  client: Client,
  destination: Destination,
  method: M,
  request: RequestOf<M>,
): Promise<ResponseOf<M>> {
  const definition = AdminService[method]
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<RequestOf<M>, ResponseOf<M>>(
      definition.path,
      definition.requestSerialize as (value: RequestOf<M>) => Buffer,
      definition.responseDeserialize as (value: Buffer) => ResponseOf<M>,
      request,
      new Metadata(),
      { deadline: Date.now() + DEADLINE_MS },
      (error, response) => {
        if (error) reject(explain(error, destination))
        else resolve(response as ResponseOf<M>)
      },
    )
  })
}

async function* watch(
  client: Client,
  destination: Destination,
  id: string,
  signal: AbortSignal,
): AsyncIterable<Operation> {
  const definition = AdminService.watchOperation
  const stream = client.makeServerStreamRequest(
    definition.path,
    definition.requestSerialize,
    definition.responseDeserialize,
    { id },
    new Metadata(),
  )
  const cancel = () => stream.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    for await (const operation of stream) yield operation as Operation
  } catch (error) {
    if (!signal.aborted) throw explain(error as ServiceError, destination)
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

function explain(error: ServiceError, destination: Destination): LifeboatError {
  const failure = fromStatus(error)
  if (failure.code !== 'unavailable') return failure
  return new LifeboatError(
    'unavailable',
    `cannot reach ${destination.label}. Is it running (systemctl status lifeboat-controller), and are you root or in the group lifeboat?`,
    { cause: failure },
  )
}
