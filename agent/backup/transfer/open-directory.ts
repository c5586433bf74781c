import { type Clock, randomIds } from '../../../shared/clock.ts'
import { createCommandRunner } from '../../../shared/exec-node.ts'
import { createLogger, type Logger } from '../../../shared/log.ts'
import { openVaultStore } from '../../vault/store/vault-store.ts'
import type { Vault } from '../../vault/vault.ts'
import type { BackupJob, RestoreJob } from '../transfer.ts'

/** A vault in a directory of this host, for one job. */
export function openDirectory(
  dir: string,
  kind: (BackupJob | RestoreJob)['kind'],
  clock: Clock,
  log: Logger = createLogger({ level: 'warn', format: 'console' }),
): Vault {
  return openVaultStore({
    dir,
    clock,
    ids: randomIds,
    log,
    run: createCommandRunner(clock),
    access: kind === 'backup' ? 'write' : 'read',
    // What this process packed itself is what it says.
    trusted: true,
  })
}
