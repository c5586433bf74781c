import type { ServiceError } from '@grpc/grpc-js'
import { type FromAgent, Hello, IntakeClient, type ToAgent } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock, IdSource } from '../../shared/clock.ts'
import { type ErrorCode, errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'
import { channelOptions, createChannelCredentials } from '../../shared/rpc/endpoint.ts'
import { fromStatus } from '../../shared/rpc/status.ts'
import { PROTOCOL_VERSION, VERSION } from '../../shared/version.ts'
import type { BackupSettings } from '../backup/settings.ts'
import type { OrderDesk } from '../operations/order-desk.ts'
import type { EventSpool } from '../store/event-spool.ts'
import { chanceOf, reconnectDelayMs } from './backoff.ts'
import { readBackupSettings } from './read-backup-settings.ts'
import type { SessionCall, Uplink } from './uplink.ts'

const WELCOME_LIMIT_MS = 15_000
/** Bounds for what a controller may ask: neither a flood nor a silence it would itself call an outage. */
const REPORT_INTERVAL_MS = { least: 200, most: 60_000 }

export interface Session {
  /** Uses the current certificate from now on. */
  reconnect(): void
  isConnected(): boolean
  close(): Promise<void>
}

export interface SessionOptions {
  readonly blade: string
  /** host:port */
  readonly controller: string
  readonly bootId: string
  readonly identity: () => Identity
  readonly peerAddress: () => Promise<string>
  readonly desk: OrderDesk
  readonly spool: EventSpool
  readonly onBackupSettings: (settings: BackupSettings) => void
  readonly uplink: Uplink
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
}

/**
 * Keeps one session with the controller open for as long as the agent lives. Nothing here is needed for the VMs to
 * run: a controller that is away is a line in the log and another try.
 */
export function startSession(options: SessionOptions): Session {
  const { clock, log } = options
  const closing = new AbortController()
  let connection: AbortController | undefined
  let connected = false
  let lastProblem = ''
  let attempt = 0

  async function once(): Promise<void> {
    const mine = new AbortController()
    connection = mine
    try {
      await runConnection(options, AbortSignal.any([mine.signal, closing.signal]), () => {
        connected = true
        attempt = 0
        log.info(lastProblem === '' ? 'connected to the controller' : 'connected to the controller again', {
          controller: options.controller,
        })
        lastProblem = ''
      })
    } finally {
      connected = false
    }
  }

  async function loop(): Promise<void> {
    while (!closing.signal.aborted) {
      let code: ErrorCode = 'unavailable'
      try {
        await once()
      } catch (error) {
        if (closing.signal.aborted) return
        code = errorCode(error)
        tellProblem(code, formatErrorChain(error))
      }
      const delayMs = reconnectDelayMs(attempt, code, chanceOf(options.ids.next()))
      attempt += 1
      await clock.sleep(delayMs, closing.signal)
    }
  }

  /** The same trouble each few seconds is one line, not thousands. */
  function tellProblem(code: ErrorCode, reason: string): void {
    if (reason !== lastProblem) {
      log.warn('no session with the controller', { controller: options.controller, code, reason })
    }
    lastProblem = reason
  }

  const running = loop()
  return {
    reconnect: () => connection?.abort(),
    isConnected: () => connected,
    close: async () => {
      closing.abort()
      await running
    },
  }
}

/** One connection, from dial to end. Resolves when it ended without an error, after a welcome. */
async function runConnection(
  options: SessionOptions,
  signal: AbortSignal,
  onWelcome: () => void,
): Promise<void> {
  const client = new IntakeClient(
    options.controller,
    createChannelCredentials(options.identity()),
    channelOptions('controller'),
  )
  const call = client.session()
  const over = new AbortController()
  let failure: unknown
  const ended = new Promise<void>(resolve => {
    call.on('error', (error: ServiceError) => {
      failure ??= fromStatus(error)
      resolve()
    })
    call.on('end', resolve)
  })
  void ended.then(() => over.abort())
  const onAbort = (): void => call.cancel()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const welcome = expectWelcome(call, options, over.signal)
    call.write(await hello(options))
    const reportIntervalMs = await welcome
    onWelcome()
    await options.uplink.run(call, reportIntervalMs, AbortSignal.any([signal, over.signal]))
    // Stopped by us (a new certificate, or the agent ends): that is no failure.
    if (failure !== undefined && !signal.aborted) throw failure
  } catch (error) {
    throw failure ?? error
  } finally {
    signal.removeEventListener('abort', onAbort)
    call.cancel()
    client.close()
  }
}

async function hello(options: SessionOptions): Promise<FromAgent> {
  return {
    kind: {
      $case: 'hello',
      value: Hello.fromPartial({
        blade: options.blade,
        agentVersion: VERSION,
        protocol: PROTOCOL_VERSION,
        bootId: options.bootId,
        orders: [...options.desk.statuses()],
        peerAddress: await options.peerAddress(),
      }),
    },
  }
}

/**
 * Installs the listener for everything that comes down, and resolves with the report interval at the welcome, which
 * is first; an order before it is taken all the same, for the controller has checked us by then.
 */
function expectWelcome(call: SessionCall, options: SessionOptions, over: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    call.on('data', (message: ToAgent) => {
      if (message.kind?.$case === 'welcome') {
        const { least, most } = REPORT_INTERVAL_MS
        resolve(Math.min(most, Math.max(least, message.kind.value.reportIntervalMs)))
      } else receive(message, options)
    })
    over.addEventListener('abort', () =>
      reject(new LifeboatError('unavailable', 'the controller ended the session before its welcome')),
    )
    void options.clock.sleep(WELCOME_LIMIT_MS, over).then(() => {
      if (!over.aborted) reject(new LifeboatError('timeout', `no welcome within ${WELCOME_LIMIT_MS} ms`))
    })
  })
}

function receive(message: ToAgent, { desk, spool, onBackupSettings, log }: SessionOptions): void {
  const { kind } = message
  try {
    switch (kind?.$case) {
      case 'order':
        desk.take(kind.value)
        break
      case 'abortOrder':
        desk.abort(kind.value.orderId)
        break
      case 'eventReceived':
        spool.received(kind.value.id)
        break
      case 'orderEndSeen':
        desk.acknowledge(kind.value.orderId)
        break
      case 'backupSettings':
        onBackupSettings(readBackupSettings(kind.value))
        break
      default:
        log.warn('the controller sent a message this agent does not know')
    }
  } catch (error) {
    // A defect in handling one message must not take the session, and with it all reports, down.
    log.error('a message of the controller could not be handled', {
      kind: kind?.$case ?? '',
      error: formatErrorChain(error),
    })
  }
}
