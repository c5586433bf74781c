import { LifeboatError } from '../../shared/errors.ts'
import { DEFAULT_TOKEN_TTL_MINUTES } from '../enrolment/tokens.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { Store } from '../store/store.ts'
import type { VaultRecord } from '../store/vaults.ts'

/** By name or UUID. Throws `not-found`, or `refused` when several VMs have the name. */
export function requireVm(snapshot: FleetSnapshot, nameOrId: string): VmView {
  const byId = snapshot.vms.find(vm => vm.id === nameOrId.toLowerCase())
  if (byId !== undefined) return byId
  const named = snapshot.vms.filter(vm => vm.name === nameOrId)
  const [first] = named
  if (first === undefined) {
    throw new LifeboatError('not-found', `there is no VM ${nameOrId}; lifeboat vm list shows all`)
  }
  if (named.length > 1) {
    throw new LifeboatError('refused', `${named.length} VMs are called ${nameOrId}: say which by its UUID`, {
      details: named.map(vm => `${vm.id} on ${vm.blade}`),
    })
  }
  return first
}

/** Throws `refused` for a VM whose blade does not report: nothing can be told to it. */
export function refuseLost(vm: VmView): void {
  if (vm.state !== 'lost') return
  throw new LifeboatError(
    'refused',
    `${vm.name} was last seen on ${vm.blade}, which does not report; lifeboat blade show ${vm.blade}`,
  )
}

/** Throws `not-found`. */
export function requireBlade(store: Store, name: string): BladeRecord {
  const blade = store.blades.get(name)
  if (blade === undefined) {
    throw new LifeboatError('not-found', `there is no blade ${name}; lifeboat blade list shows all`)
  }
  return blade
}

/** A blade that has joined. Throws `not-found`. */
export function requireJoined(snapshot: FleetSnapshot, store: Store, name: string): BladeView {
  requireBlade(store, name)
  const view = snapshot.blades.find(blade => blade.name === name)
  if (view === undefined) {
    throw new LifeboatError(
      'not-found',
      `${name} has not joined yet; \`lifeboat blade add ${name}\` makes a new token`,
    )
  }
  return view
}

/** Throws `not-found`. */
export function requireOperation(store: Store, id: string): OperationRecord {
  const operation = store.operations.get(id)
  if (operation === undefined) {
    throw new LifeboatError(
      'not-found',
      `there is no operation ${id}; lifeboat operation list --all shows them`,
    )
  }
  return operation
}

/**
 * By its name; empty: the only one that has joined. Throws `not-found`, or `bad-input` when there are several and none is
 * named.
 */
export function requireVault(store: Store, name: string): VaultRecord {
  if (name === '') {
    const all = store.vaults.list()
    const [only, ...others] = all.filter(vault => vault.joinedAt > 0)
    if (only === undefined) {
      throw new LifeboatError(
        'not-found',
        all.length === 0
          ? 'there is no vault; lifeboat vault add NAME --address HOST adds one'
          : 'no vault has joined yet; lifeboat vault list shows those that may',
      )
    }
    if (others.length === 0) return only
    const names = [only, ...others].map(vault => vault.name).join(', ')
    throw new LifeboatError('bad-input', `which vault? There are ${names}`)
  }
  const vault = store.vaults.get(name)
  if (vault !== undefined) return vault
  throw new LifeboatError('not-found', `there is no vault ${name}; lifeboat vault list shows all`)
}

const LONGEST_TTL_MINUTES = 30 * 24 * 60

/** How long a token lives; 0: the default. Throws `bad-input`. */
export function tokenMinutes(asked: number): number {
  const minutes = asked === 0 ? DEFAULT_TOKEN_TTL_MINUTES : asked
  if (minutes >= 1 && minutes <= LONGEST_TTL_MINUTES) return minutes
  throw new LifeboatError('bad-input', `a token lives 1 to ${LONGEST_TTL_MINUTES} minutes, not ${minutes}`)
}
