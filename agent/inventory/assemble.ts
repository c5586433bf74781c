import type { Capacity, Vm, Volume } from '../../shared/domain/fleet.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import type { Volumes } from '../storage/volumes.ts'
import { reservedMemoryBytes } from './reserve.ts'

export type Inspected = Awaited<ReturnType<Volumes['inspect']>>

/** What each part of the blade said, before it is put together. */
export interface InventoryParts {
  readonly vms: readonly Vm[]
  readonly inspected: Inspected
  readonly epochs: ReadonlyMap<string, number>
  /** VMs that arrive by a move which is not confirmed. */
  readonly arriving: ReadonlySet<string>
}

/**
 * VMs as the fleet shall see them: volumes with what is really behind each path, the epoch this blade knows, and
 * every obstacle. Pure. Sorted by name, then id, so that equal inventories are equal texts.
 */
export function assembleVms(parts: InventoryParts): readonly Vm[] {
  const usersOfPath = new Map<string, string[]>()
  for (const vm of parts.vms) {
    for (const { path } of vm.volumes) usersOfPath.set(path, [...(usersOfPath.get(path) ?? []), vm.name])
  }
  return parts.vms
    .map(vm => assembleVm(vm, parts, usersOfPath))
    .sort((a, b) => compare(a.name, b.name) || compare(a.id, b.id))
}

/** Capacity with pools and reserve filled in. */
export function assembleCapacity(
  capacity: Omit<Capacity, 'pools' | 'reservedMemoryBytes'>,
  pools: Capacity['pools'],
  configuredReserveBytes: number | undefined,
): Capacity {
  return {
    ...capacity,
    reservedMemoryBytes: reservedMemoryBytes(capacity.memoryBytes, configuredReserveBytes),
    pools: [...pools].sort((a, b) => compare(a.name, b.name)),
    networks: [...capacity.networks].sort(compare),
  }
}

function assembleVm(vm: Vm, parts: InventoryParts, usersOfPath: ReadonlyMap<string, readonly string[]>): Vm {
  const obstacles: Reason[] = [...vm.obstacles]
  const volumes: Volume[] = []
  for (const volume of vm.volumes) {
    const info = parts.inspected.get(volume.path)
    if (info === undefined || 'error' in info) {
      const code = info?.code ?? 'disk-unreadable'
      const text = info?.error ?? `${volume.path} could not be examined`
      // The hypervisor may have said it already, from the definition.
      if (!obstacles.some(obstacle => obstacle.code === code)) obstacles.push({ code, text })
      volumes.push(volume)
    } else volumes.push({ ...volume, ...info, target: volume.target, path: volume.path })
    const others = (usersOfPath.get(volume.path) ?? []).filter(name => name !== vm.name)
    if (others.length > 0) {
      obstacles.push({ code: 'disk-shared', text: `${volume.path} is also a disk of ${others.join(', ')}` })
    }
  }
  return {
    ...vm,
    volumes,
    obstacles,
    epoch: parts.epochs.get(vm.id) ?? 0,
    incoming: parts.arriving.has(vm.id),
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
