import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import type { VaultClients } from '../backup/vault-client.ts'
import type { FleetState } from '../fleet/fleet-state.ts'
import type { Store } from '../store/store.ts'
import type { Orders } from './orders.ts'

/** What the steps of the controller's sagas may use. */
export interface OperationServices {
  readonly store: Store
  readonly orders: Orders
  readonly fleet: FleetState
  readonly vaults: Pick<VaultClients, 'ask'>
  /** Something has changed at a vault: what is known of it is to be read anew soon. */
  readonly lookAtVaults: () => void
  readonly clock: Clock
  readonly log: Logger
}
