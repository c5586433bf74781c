import type { FleetSnapshot, Reservation, VmView } from '../fleet/snapshot.ts'
import { isInMemory, volumeNeeds } from './room.ts'

/** A VM that is to come to that blade. */
export interface Promised {
  readonly vm: VmView
  readonly to: string
  /** On whose account the room is kept. */
  readonly operation: string
}

/** What the VM will take there. */
export function promiseOf({ vm, operation }: Omit<Promised, 'to'>): Reservation {
  const inMemory = isInMemory(vm)
  return {
    operation,
    vmId: vm.id,
    vmName: vm.name,
    memoryBytes: inMemory ? vm.memoryBytes : 0,
    vcpus: inMemory ? vm.vcpus : 0,
    volumes: volumeNeeds(vm),
  }
}

/** The same fleet with room kept for them where they are to come; where they are they keep theirs, as in a move. */
export function withPromises(snapshot: FleetSnapshot, promised: readonly Promised[]): FleetSnapshot {
  if (promised.length === 0) return snapshot
  const byBlade = Map.groupBy(promised, each => each.to)
  const blades = snapshot.blades.map(blade => {
    const more = byBlade.get(blade.name)?.map(promiseOf) ?? []
    return more.length === 0 ? blade : { ...blade, reservations: [...blade.reservations, ...more] }
  })
  return { ...snapshot, blades }
}
