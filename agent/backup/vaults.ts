import type { Vault } from '../vault/vault.ts'
import type { VaultAccess } from './transfer.ts'

/** What an agent asks is asked over the network; directories are for the offline commands. */
export type NetworkAccess = Extract<VaultAccess, { readonly kind: 'network' }>

/** The seam to vaults: small questions only, bytes go by Transfer. */
export interface Vaults {
  /** A connection, for the caller to close. Errors: `unavailable`, `timeout`, `not-allowed`. */
  open(access: NetworkAccess): Promise<Vault>
}

/** Asks a vault something, and closes the connection whatever comes of it. */
export async function askVault<T>(
  vaults: Vaults,
  access: NetworkAccess,
  ask: (vault: Vault) => Promise<T>,
): Promise<T> {
  const vault = await vaults.open(access)
  try {
    return await ask(vault)
  } finally {
    await vault.close()
  }
}
