import { createInlineTransfer } from '../../agent/backup/transfer/inline-transfer.ts'
import { openVault } from '../../agent/backup/transfer/open-vault.ts'
import type { Transfer, TransferOptions } from '../../agent/backup/transfer.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'

/**
 * The code of the transfer's worker process, run in this one: thirty VMs need no thirty processes. `death` is the end
 * of its agent; the worker, whose standard input closes then, stops.
 */
export function createSimTransfer(clock: Clock, log: Logger, death: AbortSignal): Transfer {
  const transfer = createInlineTransfer({
    openVault: job => openVault(job, clock, log),
    clock,
    threads: 2,
    warn: text => log.warn('transfer', { warning: text }),
  })
  const mortal = (options: TransferOptions): TransferOptions => ({
    ...options,
    signal: AbortSignal.any([options.signal, death]),
  })
  return {
    backup: (job, options) => transfer.backup(job, mortal(options)),
    restore: (job, options) => transfer.restore(job, mortal(options)),
    forgetOthers: transfer.forgetOthers,
  }
}
