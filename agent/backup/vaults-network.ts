import type { Clock } from '../../shared/clock.ts'
import { createVaultClient } from '../vault/client/vault-client.ts'
import type { Vaults } from './vaults.ts'

/** Vaults of the fleet, each by its door for agents. */
export function createNetworkVaults(clock: Clock): Vaults {
  return {
    open: async ({ name, address, identity }) =>
      createVaultClient({ name, address, identity: () => identity, clock }),
  }
}
