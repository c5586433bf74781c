import { fileURLToPath } from 'node:url'
import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { Logger } from '../../../shared/log.ts'
import type { Manifest } from '../../vault/format/manifest.ts'
import type { BackupJob, RestoreFigures, RestoreJob, Transfer, TransferOptions } from '../transfer.ts'
import { dropFingerprintsOfOthers } from './fingerprints.ts'
import { type FromWorker, formatMessage, parseError, parseMessage, type ToWorker } from './messages.ts'
import { poolThreads } from './threads.ts'

const ERROR_LINES = 20
/** For a worker that was told to stop to say goodbye to the vault; then it is killed. */
const STOP_LIMIT_MS = 10_000

export interface WorkerTransferOptions {
  readonly run: CommandRunner
  readonly clock: Clock
  readonly log: Logger
  /** The worker's program; the one that comes with this program by default. */
  readonly program?: string
  /** Where to remember from one night to the next what the chunks of a disk were; undefined: nowhere. */
  readonly fingerprints?: string
}

/** The worker's own file: beside this one, or beside the program that this one is bundled into. */
function workerPath(): string {
  const isBundled = import.meta.url.endsWith('.mjs')
  return fileURLToPath(new URL(isBundled ? './lifeboat-transfer.mjs' : './worker.ts', import.meta.url))
}

/**
 * A transfer in a process of its own, one per job: packing and hashing take no time from the agent's main thread, and
 * their memory goes when they are done. A worker whose agent dies stops by itself, and the vault aborts its backup.
 */
export function createWorkerTransfer(worker: WorkerTransferOptions): Transfer {
  return {
    backup: async (job, options) => {
      const last = await follow(worker, job, options)
      if ('manifest' in last) return last.manifest
      throw confused()
    },
    restore: async (job, options) => {
      const last = await follow(worker, job, options)
      if ('figures' in last) return last.figures
      throw confused()
    },
    forgetOthers: vmIds => {
      if (worker.fingerprints !== undefined) dropFingerprintsOfOthers(worker.fingerprints, vmIds)
    },
  }
}

function confused(): LifeboatError {
  return new LifeboatError('internal', 'the transfer process answered something else than was asked')
}

function aborted(): LifeboatError {
  return new LifeboatError('aborted', 'stopped on request')
}

type Outcome = { readonly manifest: Manifest } | { readonly figures: RestoreFigures }

async function follow(
  { run, clock, log, program, fingerprints }: WorkerTransferOptions,
  job: BackupJob | RestoreJob,
  { signal, onProgress }: TransferOptions,
): Promise<Outcome> {
  if (signal.aborted) throw aborted()
  const end = Promise.withResolvers<Outcome>()
  const errorLines: string[] = []
  const onMessage = (message: FromWorker): void => {
    if ('progress' in message) onProgress?.(message.progress.doneBytes, message.progress.totalBytes)
    else if ('warning' in message) log.warn('transfer', { warning: message.warning })
    else if ('error' in message) end.reject(parseError(message.error))
    else end.resolve(message)
  }
  const worker = run.follow(argv(job.kind, program ?? workerPath()), {
    env: { UV_THREADPOOL_SIZE: String(poolThreads()), MALLOC_ARENA_MAX: '2' },
    onLine: line => {
      try {
        onMessage(parseMessage<FromWorker>(line))
      } catch (error) {
        end.reject(error)
      }
    },
    onErrorLine: line => {
      errorLines.push(line)
      if (errorLines.length > ERROR_LINES) errorLines.shift()
    },
    // After an answer this changes nothing.
    onEnd: exitCode => end.reject(endedEarly(exitCode, errorLines)),
  })
  const say = (message: ToWorker): void => worker.write(formatMessage(message))
  const over = new AbortController()
  const onAbort = (): void => {
    say({ stop: true })
    void clock.sleep(STOP_LIMIT_MS, over.signal).then(() => end.reject(aborted()))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    say({ job, fingerprints })
    return await end.promise
  } finally {
    over.abort()
    signal.removeEventListener('abort', onAbort)
    worker.stop()
  }
}

/**
 * Its young generation is small: it allocates little, and buffers that wait for a collection are not small. A restore
 * leaves more of them behind; there the helpers of the collector cost a seventh of all CPU, and it has memory to spare.
 */
function argv(kind: (BackupJob | RestoreJob)['kind'], program: string): string[] {
  const collector = kind === 'restore' ? ['--single-threaded-gc'] : []
  return [process.execPath, '--max-semi-space-size=1', ...collector, program]
}

/** `RangeError: ...`, `SystemError [ERR_...]: ...`, V8's `FATAL ERROR: ...`. */
const NAMES_AN_ERROR = /^(\w*Error|FATAL ERROR)\b[^:]*: /

/** Of what Node and V8 print of their end the last line is a version or an address. */
function endedEarly(exitCode: number, errorLines: readonly string[]): LifeboatError {
  const said = errorLines.findLast(line => NAMES_AN_ERROR.test(line)) ?? errorLines.findLast(isNotBlank)
  return new LifeboatError('unavailable', `the transfer process ended with ${exitCode} before it was done`, {
    ...(said === undefined ? {} : { cause: said }),
  })
}

function isNotBlank(line: string): boolean {
  return line.trim() !== ''
}
