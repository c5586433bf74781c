import { type Clock, systemClock } from './clock.ts'
import { errorCode } from './errors.ts'
import { createCommandRunner } from './exec-node.ts'
import type { Logger } from './log.ts'

/** Something that runs until it is closed. */
export interface Service {
  /** Drains in order: takes nothing new, ends or leaves resumable what runs, closes its files last. */
  close(): Promise<void>
}

export interface ServiceOptions {
  readonly name: string
  readonly log: Logger
  /** The signal is aborted when the process is told to end while it still starts. */
  readonly start: (signal: AbortSignal) => Promise<Service>
  /** Limit of the drain; must stay below TimeoutStopSec of the unit. Default 20 s. */
  readonly drainMs?: number
}

const DEFAULT_DRAIN_MS = 20_000
/** sysexits.h EX_CONFIG: the unit has RestartPreventExitStatus=78, a broken file does not heal by restarting. */
const EXIT_CONFIG = 78
/** When something still holds the event loop after a finished drain. */
const LAST_RESORT_MS = 2000
const NOTIFY_TIMEOUT_MS = 5000

/**
 * Runs a service until SIGTERM or SIGINT, then closes it within the limit. Tells systemd READY, STOPPING and WATCHDOG.
 * Resolves with the exit code: 0 after a clean drain, 78 for a bad configuration, 1 for anything else.
 */
export async function runService(options: ServiceOptions): Promise<number> {
  const { log, name } = options
  const stop = new AbortController()
  const release = listenForEnd(options, stop)
  try {
    const service = await start(options, stop.signal)
    if (service === undefined) return 0
    log.info(`${name}: ready`)
    notifySystemd(['READY=1'], log)
    const watchdog = keepWatchdog(systemClock, stop.signal, log)
    await whenAborted(stop.signal)
    log.info(`${name}: stopping`)
    notifySystemd(['STOPPING=1'], log)
    await watchdog
    return await drain(service, options)
  } catch (error) {
    log.error(`${name}: cannot run`, { error })
    return errorCode(error) === 'bad-config' ? EXIT_CONFIG : 1
  } finally {
    release()
    lastResort(options)
  }
}

/** Undefined: it was told to end while starting, and start gave up for that. */
async function start(options: ServiceOptions, signal: AbortSignal): Promise<Service | undefined> {
  try {
    return await options.start(signal)
  } catch (error) {
    if (signal.aborted && errorCode(error) === 'aborted') return undefined
    throw error
  }
}

function listenForEnd(options: ServiceOptions, stop: AbortController): () => void {
  const onSignal = (): void => stop.abort()
  // Only watched, not caught: memory may be half changed after a defect, and what counts is in the journal. Node ends
  // the process, systemd starts it anew.
  const onDefect = (error: unknown): void => {
    options.log.error(`${options.name}: ended by a defect`, { error })
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtExceptionMonitor', onDefect)
  return () => {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
    process.off('uncaughtExceptionMonitor', onDefect)
  }
}

async function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function drain(service: Service, options: ServiceOptions): Promise<number> {
  const { log, name } = options
  const limitMs = options.drainMs ?? DEFAULT_DRAIN_MS
  const over = new AbortController()
  const late = async (): Promise<number> => {
    await systemClock.sleep(limitMs, over.signal)
    if (!over.signal.aborted) log.error(`${name}: did not drain in time`, { limitMs })
    return 1
  }
  const clean = async (): Promise<number> => {
    await service.close()
    log.info(`${name}: stopped`)
    return 0
  }
  try {
    return await Promise.race([clean(), late()])
  } finally {
    over.abort()
  }
}

/** Ends a process that something forgotten keeps alive, by the signal whose handler was just released. */
function lastResort(options: ServiceOptions): void {
  setTimeout(() => {
    options.log.warn(`${options.name}: something kept the process after its end`)
    process.kill(process.pid, 'SIGTERM')
  }, LAST_RESORT_MS).unref()
}

/**
 * The watchdog is fed by the event loop itself: a loop that hangs sends nothing, and systemd restarts the service.
 * Half of the limit, as sd_watchdog_enabled(3) advises.
 */
async function keepWatchdog(clock: Clock, stop: AbortSignal, log: Logger): Promise<void> {
  const limitMs = Number(process.env.WATCHDOG_USEC ?? 0) / 1000
  if (!(limitMs > 0)) return
  while (!stop.aborted) {
    notifySystemd(['WATCHDOG=1'], log)
    await clock.sleep(limitMs / 2, stop)
  }
}

/**
 * Node has no datagram UNIX sockets, so systemd-notify speaks for us; the unit needs NotifyAccess=all.
 * Nothing happens outside systemd. A failure is logged and ends nothing: systemd itself acts on the missing message.
 */
function notifySystemd(variables: readonly string[], log: Logger): void {
  if ((process.env.NOTIFY_SOCKET ?? '') === '') return
  const argv = ['systemd-notify', ...variables]
  createCommandRunner(systemClock)
    .run(argv, { timeoutMs: NOTIFY_TIMEOUT_MS })
    .catch(error => log.warn('cannot notify systemd', { variables: variables.join(' '), error }))
}
