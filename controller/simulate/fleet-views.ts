import type { StoragePool } from '../../shared/domain/fleet.ts'
import { REASON_CODES } from '../../shared/domain/reason.ts'
import { GIB } from '../../shared/domain/units.ts'
import type { BladeView, VmView } from '../fleet/snapshot.ts'
import type { FileBlade, FileEvent, FileVm } from './fleet-schema.ts'
import { quietBlade, quietVm } from './quiet-fleet.ts'

/** A blade of the file as the controller would see it. Its facts come from hardware.ts. */
export function toBlade(
  blade: FileBlade,
  there: readonly FileVm[],
  maxVms: number,
  startAt: number,
): BladeView {
  const { name, chassis, slot, feeds, switches, admin, health, healthReasons, liveness } = blade
  return {
    ...quietBlade(name, blade.maxVms ?? maxVms),
    admin,
    health,
    healthReasons,
    liveness,
    chassis,
    slot,
    feeds,
    switches,
    lastReportAt: startAt,
    capacity: {
      memoryBytes: toBytes(blade.memoryGib),
      reservedMemoryBytes: toBytes(blade.reservedMemoryGib),
      cpus: blade.cpus,
      pools: blade.pools.map(pool => toPool(pool, there)),
      networks: blade.networks,
      hypervisor: blade.hypervisor,
      cpuModels: blade.cpuModels,
    },
  }
}

function toPool(pool: FileBlade['pools'][number], there: readonly FileVm[]): StoragePool {
  const { name, storage, gib, freeGib, reclaimableGib } = pool
  return {
    name,
    storage,
    sizeBytes: toBytes(gib),
    freeBytes: toBytes(freeGib ?? gib - reclaimableGib - usedGib(pool, there)),
    reclaimableBytes: toBytes(reclaimableGib),
  }
}

/** What volumes take of the pool: a thick one its size, the others what is written. */
export function usedGib(
  pool: { readonly name: string; readonly storage: string },
  there: readonly Pick<FileVm, 'volumes'>[],
): number {
  return there
    .flatMap(vm => vm.volumes)
    .filter(volume => volume.pool === pool.name && volume.storage === pool.storage)
    .reduce(
      (sum, { storage, gib, allocatedGib }) => sum + (storage === 'thick' ? gib : (allocatedGib ?? gib)),
      0,
    )
}

/** A VM of the file, or one that is to come: then `blade` is empty. */
export function toVm(
  vm: Extract<FileEvent, { what: 'vm-added' }>['vm'],
  blade: string,
  seenAt: number,
): VmView {
  const { name, state, vcpus, networks, cpuModel, machine, persistent } = vm
  const volumes = vm.volumes.map(({ pool, storage, gib, allocatedGib }, index) => ({
    target: `disk${index}`,
    path: `/${storage}/${pool}/${name}-${index}`,
    storage,
    pool,
    sizeBytes: toBytes(gib),
    allocatedBytes: toBytes(storage === 'thick' ? gib : (allocatedGib ?? gib)),
    format: 'raw' as const,
  }))
  return {
    ...quietVm({ name, blade, state, memoryBytes: toBytes(vm.memoryGib), vcpus, volumes, networks }),
    cpuModel,
    machine,
    persistent,
    obstacles: vm.obstacles.map(code => ({ code, text: `${name}: ${REASON_CODES[code]}` })),
    seenAt,
  }
}

function toBytes(gib: number): number {
  return Math.round(gib * GIB)
}
