import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ChannelOptions, credentials, type ServiceError } from '@grpc/grpc-js'
import { AdminClient, type Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { controllerAddress } from '../../shared/rpc/address.ts'
import {
  channelOptions,
  createChannelCredentials,
  type RequestOf,
  type RequestOptions,
  type ResponseOf,
  type UnaryNames,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { fromStatus } from '../../shared/rpc/status.ts'
import { readSimulationRecord, simulationRecordPath } from '../../shared/simulation.ts'

/** A connection to the controller's Admin service. Errors are LifeboatErrors. */
export interface AdminConnection {
  /** `limits`: for the few questions whose answer is work. */
  ask<M extends UnaryNames<AdminClient>>(
    method: M,
    request: RequestOf<AdminClient[M]>,
    limits?: RequestOptions,
  ): Promise<ResponseOf<AdminClient[M]>>
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
const ANSWER_LIMIT_MS = 30_000

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
    const address = controllerAddress(remote)
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

/** Nothing is sent until something is asked. Throws `not-authenticated` when the certificate cannot be read. */
export function connect(destination: Destination): AdminConnection {
  const client = new AdminClient(destination.address, ...transport(destination))
  return {
    ask: async (method, request, limits = { timeoutMs: ANSWER_LIMIT_MS }) => {
      try {
        return await unary(client, method, request, limits)
      } catch (error) {
        throw explain(error, destination)
      }
    },
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
        `cannot read ${path}: a remote controller wants a certificate of role admin; on its host, lifeboat-controller admin-certificate NAME --out DIR makes one, --identity DIR names it here`,
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

async function* watch(
  client: AdminClient,
  destination: Destination,
  id: string,
  signal: AbortSignal,
): AsyncIterable<Operation> {
  const stream = client.watchOperation({ id })
  const cancel = () => stream.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  if (signal.aborted) cancel()
  try {
    for await (const operation of stream) yield operation as Operation
  } catch (error) {
    if (!signal.aborted) throw explain(fromStatus(error as ServiceError), destination)
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/**
 * What the controller said stays as it is, even that something else is unavailable to it: only what comes from grpc-js
 * has a cause. That the controller itself cannot be reached, or says nothing, is told with what to look at.
 */
function explain(error: unknown, destination: Destination): unknown {
  if (!(error instanceof LifeboatError) || error.cause === undefined) return error
  const isRemote = destination.identityDirectory !== undefined
  if (error.code === 'timeout') {
    const where = isRemote ? ' there' : ''
    return new LifeboatError(
      'unavailable',
      `no answer from ${destination.label} in time. What is it at (journalctl -u lifeboat-controller${where})? What was asked for may have begun: lifeboat operation list`,
    )
  }
  if (error.code !== 'unavailable') return error
  const advice = isRemote
    ? 'Is it running (systemctl status lifeboat-controller there), and is its port open?'
    : 'Is it running (systemctl status lifeboat-controller; npm start for a simulated one), and are you root or in the group lifeboat?'
  return new LifeboatError('unavailable', `cannot reach ${destination.label}. ${advice}`, {
    cause: plainCause(error.cause),
  })
}

/** `connect ENOENT /run/lifeboat/controller.sock` out of what grpc-js says around it. */
function plainCause(cause: unknown): Error {
  const text = (cause as Partial<ServiceError>).details ?? String(cause)
  const system = /\b(?:connect|getaddrinfo|read|write) E[A-Z]+(?: \S*[^\s.])?/.exec(text)?.[0]
  return new Error(system ?? text.replace(/[.\s]*Resolution note:.*$/s, ''))
}
