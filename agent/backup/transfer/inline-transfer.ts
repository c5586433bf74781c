import type { Clock } from '../../../shared/clock.ts'
import type { Vault } from '../../vault/vault.ts'
import type { BackupJob, RestoreJob, Transfer } from '../transfer.ts'
import type { FingerprintFolder } from './fingerprints.ts'
import { sendBackup } from './send-backup.ts'
import { writeRestore } from './write-restore.ts'

export interface InlineTransferOptions {
  readonly openVault: (job: BackupJob | RestoreJob) => Promise<Vault> | Vault
  readonly clock: Clock
  /** Threads that pack and unpack; no more than the thread pool has. */
  readonly threads: number
  /** Undefined: nothing is remembered from one night to the next. */
  readonly fingerprints?: FingerprintFolder | undefined
  readonly warn: (text: string) => void
}

/** Moves the bytes in this process; what the worker process does, and simulated blades. */
export function createInlineTransfer(options: InlineTransferOptions): Transfer {
  const { clock, threads, fingerprints, warn } = options
  const withVault = async <Result>(
    job: BackupJob | RestoreJob,
    work: (vault: Vault) => Promise<Result>,
  ): Promise<Result> => {
    const vault = await options.openVault(job)
    try {
      return await work(vault)
    } finally {
      await vault.close()
    }
  }
  return {
    backup: (job, how) =>
      withVault(job, vault => sendBackup(job, how, { vault, clock, threads, fingerprints, warn })),
    restore: (job, how) => withVault(job, vault => writeRestore(job, how, { vault, clock, threads, warn })),
    forgetOthers: () => {},
  }
}
