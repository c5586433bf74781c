import type { Reason } from '../../shared/domain/reason.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { Candidate } from './filters.ts'
import {
  availableFor,
  findPool,
  isInMemory,
  usableMemoryBytes,
  usableVcpus,
  usedMemoryBytes,
  usedVcpus,
  volumeNeeds,
} from './room.ts'
import { snapshotReserveBytes } from './rules.ts'

/**
 * A VM that comes counts beside all that are there, running or not: each of them may be started at any time. A VM that
 * starts where it is takes no new place, so there only those in memory count.
 */
export function checkVmLimit({ vm, room, purpose }: Candidate): Reason[] {
  const others = [...room.vms].filter(
    ([id, other]) => id !== vm.id && (purpose !== 'start' || other.memoryBytes > 0),
  )
  const { name, maxVms } = room.blade
  if (others.length + 1 <= maxVms) return []
  return [
    {
      code: 'vm-limit',
      blade: name,
      text: `${name} has ${others.length} of at most ${maxVms} VMs${purpose === 'start' ? ' in memory' : ''}`,
      needed: others.length + 1,
      available: maxVms,
    },
  ]
}

export function checkMemory({ vm, room, purpose }: Candidate): Reason[] {
  const needed = purpose === 'start' || isInMemory(vm) ? vm.memoryBytes : 0
  if (needed === 0) return []
  const available = usableMemoryBytes(room) - usedMemoryBytes(room, vm.id)
  if (needed <= available) return []
  const reserve = formatBytes(room.blade.capacity?.reservedMemoryBytes ?? 0)
  return [
    {
      code: 'memory-short',
      blade: room.blade.name,
      text: `${vm.name} needs ${formatBytes(needed)} of memory, ${room.blade.name} has ${formatBytes(Math.max(0, available))} beside the reserve of ${reserve}`,
      needed,
      available: Math.max(0, available),
    },
  ]
}

/** Like memory, vCPUs are taken by VMs that are, or may be, in memory; the ratio says how far CPUs are shared. */
export function checkVcpus({ vm, room, purpose }: Candidate): Reason[] {
  const needed = purpose === 'start' || isInMemory(vm) ? vm.vcpus : 0
  const usable = usableVcpus(room)
  const available = usable - usedVcpus(room, vm.id)
  if (needed === 0 || needed <= available) return []
  const { name, capacity } = room.blade
  return [
    {
      code: 'vcpus-short',
      blade: name,
      text: `${vm.name} needs ${needed} vCPUs, ${name} has ${Math.max(0, available)} of ${usable} left (${room.rules.vcpuRatio} for each of ${capacity?.cpus ?? 0} CPUs)`,
      needed,
      available: Math.max(0, available),
    },
  ]
}

export function checkStoragePools({ vm, room }: Candidate): Reason[] {
  return volumeNeeds(vm)
    .filter(need => findPool(room, need) === undefined)
    .map(need => ({
      code: 'storage-missing' as const,
      blade: room.blade.name,
      text: `${room.blade.name} has no ${need.storage} storage ${need.pool}, where ${vm.name} keeps ${formatBytes(need.bytes)}`,
      needed: need.bytes,
      available: 0,
    }))
}

export function checkStorageRoom({ vm, room }: Candidate): Reason[] {
  return volumeNeeds(vm).flatMap(need => {
    const pool = findPool(room, need)
    if (pool === undefined) return []
    const reserve = snapshotReserveBytes(room.rules, pool, room.pools)
    const available = Math.max(0, availableFor(room, pool, vm.id) - reserve)
    if (need.bytes <= available) return []
    const beside = reserve === 0 ? '' : ` beside the ${formatBytes(reserve)} kept for snapshots of backups`
    return [
      {
        code: 'storage-short' as const,
        blade: room.blade.name,
        text: `${vm.name} needs ${formatBytes(need.bytes)} in ${need.pool}, ${room.blade.name} has ${formatBytes(available)} there${beside}`,
        needed: need.bytes,
        available,
      },
    ]
  })
}

export function checkNames({ vm, room }: Candidate): Reason[] {
  const reasons: Reason[] = []
  const paths = new Set(vm.volumes.map(volume => volume.path))
  for (const [id, other] of room.vms) {
    if (id === vm.id) continue
    if (other.name === vm.name) {
      reasons.push({
        code: 'name-taken',
        blade: room.blade.name,
        text: `another VM named ${vm.name} is on ${room.blade.name}`,
      })
    }
    for (const path of other.paths.filter(each => paths.has(each))) {
      reasons.push({
        code: 'name-taken',
        blade: room.blade.name,
        text: `${path} is a volume of ${other.name} on ${room.blade.name}`,
      })
    }
  }
  return reasons
}
