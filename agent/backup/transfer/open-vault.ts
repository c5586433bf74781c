import { type Clock, randomIds } from '../../../shared/clock.ts'
import { createCommandRunner } from '../../../shared/exec-node.ts'
import type { Logger } from '../../../shared/log.ts'
import { createVaultClient } from '../../vault/client/vault-client.ts'
import { openVaultStore } from '../../vault/store/vault-store.ts'
import type { Vault } from '../../vault/vault.ts'
import type { BackupJob, RestoreJob } from '../transfer.ts'

/** The vault of a job, over the network or in a directory of this host. */
export function openVault({ kind, vault }: BackupJob | RestoreJob, clock: Clock, log: Logger): Vault {
  if (vault.kind === 'network') {
    const { name, address, identity } = vault
    return createVaultClient({ name, address, identity: () => identity, clock })
  }
  return openVaultStore({
    dir: vault.path,
    clock,
    ids: randomIds,
    log,
    run: createCommandRunner(clock),
    access: kind === 'backup' ? 'write' : 'read',
    // What this process packed itself is what it says.
    trusted: true,
  })
}
