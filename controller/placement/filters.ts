import type { Reason } from '../../shared/domain/reason.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { VmView } from '../fleet/snapshot.ts'
import {
  availableFor,
  findPool,
  isInMemory,
  type Room,
  usableMemoryBytes,
  usedMemoryBytes,
  volumeNeeds,
} from './room.ts'

/**
 * What the VM asks of the blade. `start`: it is there already and comes into memory. `move`: it comes from another
 * blade. `restore`: it comes from a restore point. `volume`: one disk of it comes alone, and no VM.
 */
export type Purpose = 'start' | 'move' | 'restore' | 'volume'

export interface Candidate {
  readonly vm: VmView
  readonly room: Room
  readonly purpose: Purpose
}

export interface Filter {
  readonly name: string
  readonly purposes: readonly Purpose[]
  /** A person may pass over it for one command (rule 5). What cannot work at all is never overridable. */
  readonly overridable: boolean
  /** Empty: passed. Every reason carries the blade, and the numbers where there are any. */
  check(candidate: Candidate): readonly Reason[]
}

const ALL: readonly Purpose[] = ['start', 'move', 'restore', 'volume']
const VMS: readonly Purpose[] = ['start', 'move', 'restore']
const ARRIVALS: readonly Purpose[] = ['move', 'restore']
const VOLUMES: readonly Purpose[] = ['move', 'restore', 'volume']

/** Every rule a blade must pass for a VM. All are asked, always: a person wants all reasons, not the first. */
export const FILTERS: readonly Filter[] = [
  { name: 'elsewhere', purposes: ['move'], overridable: false, check: checkElsewhere },
  { name: 'up', purposes: ALL, overridable: false, check: checkUp },
  { name: 'in service', purposes: ALL, overridable: true, check: checkInService },
  { name: 'healthy', purposes: ALL, overridable: true, check: checkHealthy },
  { name: 'VM limit', purposes: VMS, overridable: true, check: checkVmLimit },
  { name: 'memory', purposes: VMS, overridable: true, check: checkMemory },
  { name: 'storage', purposes: VOLUMES, overridable: false, check: checkStoragePools },
  { name: 'storage room', purposes: VOLUMES, overridable: true, check: checkStorageRoom },
  { name: 'networks', purposes: ARRIVALS, overridable: false, check: checkNetworks },
  { name: 'CPU model', purposes: ARRIVALS, overridable: false, check: checkCpuModel },
  { name: 'names', purposes: VOLUMES, overridable: false, check: checkNames },
]

function checkElsewhere({ vm, room }: Candidate): Reason[] {
  if (vm.blade !== room.blade.name) return []
  return [{ code: 'blade-is-source', blade: vm.blade, text: `${vm.name} is on ${vm.blade} already` }]
}

function checkUp({ room: { blade } }: Candidate): Reason[] {
  if (blade.liveness === 'up') return []
  const text = { suspect: 'its reports are late', silent: 'it does not report', fenced: 'it is fenced' }[
    blade.liveness
  ]
  return [{ code: 'blade-not-up', blade: blade.name, text: `${blade.name} is ${blade.liveness}: ${text}` }]
}

function checkInService({ room: { blade } }: Candidate): Reason[] {
  if (blade.admin === 'in-service') return []
  const state = blade.admin === 'cordoned' ? 'cordoned' : 'in maintenance'
  return [{ code: 'blade-not-in-service', blade: blade.name, text: `${blade.name} is ${state}` }]
}

function checkHealthy({ room: { blade } }: Candidate): Reason[] {
  if (blade.health === 'healthy') return []
  const why = blade.healthReasons.length === 0 ? '' : `: ${blade.healthReasons.join('; ')}`
  return [
    {
      code: 'blade-not-healthy',
      blade: blade.name,
      text: `the health of ${blade.name} is ${blade.health}${why}`,
    },
  ]
}

/**
 * A VM that comes counts beside all that are there, running or not: each of them may be started at any time. A VM that
 * starts where it is takes no new place, so there only those in memory count.
 */
function checkVmLimit({ vm, room, purpose }: Candidate): Reason[] {
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

function checkMemory({ vm, room, purpose }: Candidate): Reason[] {
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

function checkStoragePools({ vm, room }: Candidate): Reason[] {
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

function checkStorageRoom({ vm, room }: Candidate): Reason[] {
  return volumeNeeds(vm).flatMap(need => {
    const pool = findPool(room, need)
    if (pool === undefined) return []
    const available = availableFor(room, pool, vm.id)
    if (need.bytes <= available) return []
    return [
      {
        code: 'storage-short' as const,
        blade: room.blade.name,
        text: `${vm.name} needs ${formatBytes(need.bytes)} in ${need.pool}, ${room.blade.name} has ${formatBytes(Math.max(0, available))} there`,
        needed: need.bytes,
        available: Math.max(0, available),
      },
    ]
  })
}

function checkNetworks({ vm, room }: Candidate): Reason[] {
  const there = new Set(room.blade.capacity?.networks ?? [])
  return [...new Set(vm.networks)]
    .filter(network => !there.has(network))
    .map(network => ({
      code: 'network-missing' as const,
      blade: room.blade.name,
      text: `${vm.name} is plugged into ${network}, which ${room.blade.name} does not have`,
    }))
}

function checkCpuModel({ vm, room }: Candidate): Reason[] {
  const models = room.blade.capacity?.cpuModels ?? []
  // An empty list means that the hypervisor does not say, which is not the same as having none.
  if (vm.cpuModel === '' || models.length === 0 || models.includes(vm.cpuModel)) return []
  return [
    {
      code: 'cpu-model-missing',
      blade: room.blade.name,
      text: `${vm.name} has the CPU model ${vm.cpuModel}, which ${room.blade.name} cannot offer`,
    },
  ]
}

function checkNames({ vm, room }: Candidate): Reason[] {
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
