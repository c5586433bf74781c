import type { StoragePool, Volume } from '../../shared/domain/fleet.ts'

/** Pools are known by kind and name: a volume group and a directory may be called alike. */
export function poolKey(storage: string, name: string): string {
  return `${storage} ${name}`
}

/** The name in such a key: kinds have no space in them. */
export function poolName(key: string): string {
  return key.slice(key.indexOf(' ') + 1)
}

/** Bytes that the VM's volumes really take of a pool; its leaving gives back no more, though it needs whole volumes elsewhere. */
export function writtenBytes(
  vm: { readonly volumes: readonly Volume[] },
  pool: Pick<StoragePool, 'name' | 'storage'>,
): number {
  return vm.volumes
    .filter(volume => volume.pool === pool.name && volume.storage === pool.storage)
    .reduce((sum, volume) => sum + Math.min(volume.allocatedBytes, volume.sizeBytes), 0)
}
