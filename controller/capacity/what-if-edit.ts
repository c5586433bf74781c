import type { Capacity, Volume } from '../../shared/domain/fleet.ts'
import { formatBytes, plural } from '../../shared/domain/units.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { writtenBytes } from '../placement/pools.ts'
import {
  checkWhatIf,
  type NewBlade,
  type NewVm,
  namesOf,
  type Pool,
  poolNamed,
  usualPool,
  type WhatIf,
} from './what-if-check.ts'

/** The fleet with the changes made, before anybody has looked for a place. */
export interface Edited {
  /** Without the blades that go, and without the VMs that look for a place. */
  readonly snapshot: FleetSnapshot
  /** VMs of blades that go, and new ones. */
  readonly homeless: readonly VmView[]
  /** What was changed, in words. */
  readonly changes: readonly string[]
}

/** Throws as `checkWhatIf`. */
export function editFleet(snapshot: FleetSnapshot, wish: WhatIf): Edited {
  checkWhatIf(snapshot, wish)
  const gone = new Set(wish.remove)
  const newBlades = wish.addBlades.flatMap(blade => copiesOf(snapshot, blade))
  const newVms = wish.addVms.flatMap(vm => copiesOfVm(snapshot, vm))
  const { blades, vms } = snapshot
  return {
    snapshot: {
      ...snapshot,
      blades: [...blades.filter(blade => !gone.has(blade.name)), ...newBlades].sort(byName),
      vms: vms.filter(vm => !gone.has(vm.blade)),
    },
    homeless: [...vms.filter(vm => gone.has(vm.blade)), ...newVms],
    changes: [
      ...(gone.size === 0 ? [] : [`without ${[...gone].sort().join(', ')}`]),
      ...wish.addVms.map(wordsForVm),
      ...wish.addBlades.map(wordsForBlade),
    ],
  }
}

/** Empty, sound, up and in service; else as its model, with the room that the model has without its VMs. */
function copiesOf(snapshot: FleetSnapshot, wish: NewBlade): BladeView[] {
  const model = snapshot.blades.find(blade => blade.name === wish.like)
  if (model?.capacity === undefined) return []
  const vms = snapshot.vms.filter(vm => vm.blade === model.name)
  const capacity = {
    ...model.capacity,
    memoryBytes: wish.memoryBytes || model.capacity.memoryBytes,
    pools: model.capacity.pools.map(pool => emptied(pool, vms)),
  }
  return namesOf(wish.name, 'new-blade', wish.count).map(name => ({
    ...model,
    name,
    capacity,
    admin: 'in-service',
    health: 'healthy',
    liveness: 'up',
    healthReasons: [],
    chassis: wish.chassis || model.chassis,
    maxVms: wish.maxVms || model.maxVms,
    facts: [],
    reservations: [],
  }))
}

function emptied(pool: Capacity['pools'][number], vms: readonly VmView[]): Capacity['pools'][number] {
  const taken = vms.reduce((sum, vm) => sum + writtenBytes(vm, pool), 0)
  const freeBytes = Math.min(pool.sizeBytes, pool.freeBytes + pool.reclaimableBytes + taken)
  return { ...pool, freeBytes, reclaimableBytes: 0 }
}

function copiesOfVm(snapshot: FleetSnapshot, wish: NewVm): VmView[] {
  const pool = wish.pool === '' ? usualPool(snapshot) : poolNamed(snapshot, wish.pool)
  return namesOf(wish.name, 'new-vm', wish.count).map(name => ({
    id: `new/${name}`,
    name,
    blade: '',
    state: 'running',
    memoryBytes: wish.memoryBytes,
    vcpus: wish.vcpus,
    volumes:
      pool === undefined ? [] : wish.disksBytes.map((bytes, index) => volumeOf(name, index, bytes, pool)),
    networks: wish.networks,
    obstacles: [],
    epoch: 0,
    machine: '',
    cpuModel: '',
    persistent: true,
    operation: '',
    seenAt: snapshot.takenAt,
  }))
}

function volumeOf(vm: string, index: number, sizeBytes: number, pool: Pool): Volume {
  const target = `vd${String.fromCharCode(97 + (index % 26))}`
  return {
    target,
    path: `new/${vm}-${index}`,
    storage: pool.storage,
    pool: pool.name,
    sizeBytes,
    allocatedBytes: 0,
    format: 'raw',
  }
}

function wordsForVm(vm: NewVm): string {
  const disks = vm.disksBytes.map(formatBytes).join(' + ')
  return `with ${plural(vm.count, 'new VM')} of ${formatBytes(vm.memoryBytes)} of memory${disks === '' ? '' : ` and ${disks} of disk`}`
}

function wordsForBlade(blade: NewBlade): string {
  const memory = blade.memoryBytes === 0 ? '' : `, with ${formatBytes(blade.memoryBytes)} of memory`
  return `with ${plural(blade.count, 'new blade')} like ${blade.like}${memory}`
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}
