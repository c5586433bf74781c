import type { VaultClientOptions } from '../../agent/vault/client/vault-client.ts'
import { createVaultDoor, type VaultDoor } from '../../agent/vault/door/server.ts'
import type { PointRef } from '../../agent/vault/format/point.ts'
import type { VaultStore } from '../../agent/vault/store/vault-store.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { createAuthority, createIdentity, type Identity, type Role } from '../../shared/rpc/certificates.ts'
import { createRecordingLogger, formatLine } from './recording-logger.ts'

/** The door of a vault named `depot` on loopback, with certificates of an authority of its own. */
export interface OpenDoor extends VaultDoor {
  readonly log: readonly string[]
  identity(name: string, role?: Role): Promise<Identity>
  clientOptions(blade: string): Promise<VaultClientOptions>
}

export interface DoorOptions {
  readonly clock?: Clock
  readonly isGranted?: (ref: PointRef, blade: string) => boolean
}

export async function openDoor(store: VaultStore, options: DoorOptions = {}): Promise<OpenDoor> {
  const { clock = systemClock, isGranted = () => false } = options
  const now = systemClock.now()
  const authority = await createAuthority(now)
  const identity = (name: string, role: Role = 'blade') => createIdentity(authority, { name, role }, now, 30)
  const log: string[] = []
  const door = await createVaultDoor({
    listen: '127.0.0.1:0',
    identity: await identity('depot', 'vault'),
    vaultFor: blade => store.visibleTo(blade, ref => isGranted(ref, blade)),
    clock,
    log: createRecordingLogger('', line => log.push(formatLine(line))),
  })
  return {
    ...door,
    log,
    identity,
    clientOptions: async blade => {
      const own = await identity(blade)
      return { name: 'depot', address: door.address, identity: () => own, clock }
    },
  }
}
