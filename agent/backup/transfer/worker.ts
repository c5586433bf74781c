// The process that moves the bytes of one backup or restore: `lifeboat-transfer.mjs`, started by worker-transfer.ts.
import { createInterface } from 'node:readline'
import { systemClock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { BackupJob, RestoreJob, TransferOptions } from '../transfer.ts'
import { openFingerprintFolder } from './fingerprints.ts'
import { createInlineTransfer } from './inline-transfer.ts'
import { type FromWorker, formatError, formatMessage, parseMessage, type ToWorker } from './messages.ts'
import { openVault } from './open-vault.ts'
import { packingThreads, yieldToVms } from './threads.ts'

/** Twice a second: the controller is told no more often either. */
const PROGRESS_EVERY_MS = 500

const stop = new AbortController()
const firstLine = Promise.withResolvers<ToWorker>()
const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  const message = parseMessage<ToWorker>(line)
  if ('stop' in message) stop.abort()
  firstLine.resolve(message)
})
// The agent is gone, or wants no more.
lines.once('close', () => {
  stop.abort()
  firstLine.resolve({ stop: true })
})
process.once('SIGTERM', () => stop.abort())

try {
  yieldToVms()
  const first = await firstLine.promise
  if (!('job' in first)) throw new LifeboatError('aborted', 'stopped before it began')
  tell(await work(first.job, first.fingerprints))
} catch (error) {
  tell({ error: formatError(error) })
  process.exitCode = 1
} finally {
  lines.close()
  process.stdin.destroy()
}

async function work(job: BackupJob | RestoreJob, folder: string | undefined): Promise<FromWorker> {
  const transfer = createInlineTransfer({
    openVault: one => openVault(one, systemClock),
    clock: systemClock,
    threads: packingThreads(),
    fingerprints: folder === undefined ? undefined : openFingerprintFolder(folder),
    warn: warning => tell({ warning }),
  })
  const options = { signal: stop.signal, onProgress: rarely() }
  return job.kind === 'backup'
    ? { manifest: await transfer.backup(job, options) }
    : { figures: await transfer.restore(job, options) }
}

function rarely(): NonNullable<TransferOptions['onProgress']> {
  let toldAt = 0
  return (doneBytes, totalBytes) => {
    const now = systemClock.now()
    if (now - toldAt < PROGRESS_EVERY_MS) return
    toldAt = now
    tell({ progress: { doneBytes, totalBytes } })
  }
}

function tell(message: FromWorker): void {
  process.stdout.write(`${formatMessage(message)}\n`)
}
