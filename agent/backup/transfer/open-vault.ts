import type { Clock } from '../../../shared/clock.ts'
import type { Logger } from '../../../shared/log.ts'
import { createVaultClient } from '../../vault/client/vault-client.ts'
import type { Vault } from '../../vault/vault.ts'
import type { BackupJob, RestoreJob } from '../transfer.ts'

/** The vault of a job, over the network or in a directory of this host. */
export async function openVault(
  { kind, vault }: BackupJob | RestoreJob,
  clock: Clock,
  log?: Logger,
): Promise<Vault> {
  if (vault.kind === 'network') {
    const { name, address, identity } = vault
    return createVaultClient({ name, address, identity: () => identity, clock })
  }
  // Only when it is needed: the program of a store and its log take as long to load as all the rest.
  const { openDirectory } = await import('./open-directory.ts')
  return openDirectory(vault.path, kind, clock, log)
}
