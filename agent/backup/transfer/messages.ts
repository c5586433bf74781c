import { LifeboatError } from '../../../shared/errors.ts'
import { formatError, parseError, type WireError } from '../../vault/door/protocol.ts'
import type { Manifest } from '../../vault/format/manifest.ts'
import type { BackupJob, RestoreFigures, RestoreJob } from '../transfer.ts'

/**
 * What agent and worker process say to each other: one JSON line each, the job and `stop` by standard input, the rest by
 * standard output. Keys travel with the job, so never as an argument, which everybody on the host can read.
 */
export type ToWorker =
  | {
      readonly job: BackupJob | RestoreJob
      /** Folder of the fingerprints; undefined: nothing is remembered. */
      readonly fingerprints?: string | undefined
    }
  | { readonly stop: true }

export type FromWorker =
  | { readonly progress: { readonly doneBytes: number; readonly totalBytes: number } }
  | { readonly warning: string }
  | { readonly manifest: Manifest }
  | { readonly figures: RestoreFigures }
  | { readonly error: WireError }

export function formatMessage(message: ToWorker | FromWorker): string {
  return JSON.stringify(message)
}

/** Throws `bad-tool-output`. */
export function parseMessage<Message extends ToWorker | FromWorker>(line: string): Message {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value as Message
  } catch (error) {
    throw new LifeboatError('bad-tool-output', 'the transfer process said what is no JSON', { cause: error })
  }
  throw new LifeboatError('bad-tool-output', 'the transfer process said what is no message')
}

export { formatError, parseError }
