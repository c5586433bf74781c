import type { Reason } from '../../shared/domain/reason.ts'
import type { VmView } from '../fleet/snapshot.ts'
import { checkApart, checkPinned, checkTogether, type Whereabouts } from './groups.ts'
import type { Room } from './room.ts'
import {
  checkMemory,
  checkNames,
  checkStoragePools,
  checkStorageRoom,
  checkVcpus,
  checkVmLimit,
} from './room-filters.ts'

/**
 * What the VM asks of the blade. `start`: it is there already and comes into memory. `move`: it comes from another
 * blade. `restore`: it comes from a restore point. `volume`: one disk of it comes alone, and no VM.
 */
export type Purpose = 'start' | 'move' | 'restore' | 'volume'

export interface Candidate {
  readonly vm: VmView
  readonly room: Room
  readonly purpose: Purpose
  /** Where the other VMs of the fleet are, for rules that look beyond the blade. */
  readonly fleet: Whereabouts
  /** Ids of VMs that come along to the same blade by the same plan, though they are not there yet. */
  readonly company: ReadonlySet<string>
}

export interface Filter {
  readonly name: string
  readonly purposes: readonly Purpose[]
  /** A person may pass over it for one command (rule 5). What cannot work at all is never overridable. */
  readonly overridable: boolean
  /** Its answer depends on what else is on the blade or in the fleet. False: on the VM and the blade alone. */
  readonly room: boolean
  /** It asks for the blade by its name: of two blades that are alike in all else it may refuse one. Default false. */
  readonly named?: true
  /** Empty: passed. Every reason carries the blade, and the numbers where there are any. */
  check(candidate: Candidate): readonly Reason[]
}

const ALL: readonly Purpose[] = ['start', 'move', 'restore', 'volume']
const VMS: readonly Purpose[] = ['start', 'move', 'restore']
const ARRIVALS: readonly Purpose[] = ['move', 'restore']
const VOLUMES: readonly Purpose[] = ['move', 'restore', 'volume']

/** Every rule a blade must pass for a VM. All are asked, always: a person wants all reasons, not the first. */
export const FILTERS: readonly Filter[] = [
  {
    name: 'elsewhere',
    purposes: ['move'],
    overridable: false,
    room: false,
    named: true,
    check: checkElsewhere,
  },
  { name: 'up', purposes: ALL, overridable: false, room: false, check: checkUp },
  { name: 'in service', purposes: ALL, overridable: true, room: false, check: checkInService },
  { name: 'healthy', purposes: ALL, overridable: true, room: false, check: checkHealthy },
  { name: 'pinned', purposes: ARRIVALS, overridable: true, room: false, named: true, check: checkPinned },
  { name: 'apart', purposes: ARRIVALS, overridable: true, room: true, check: checkApart },
  { name: 'together', purposes: ARRIVALS, overridable: true, room: true, check: checkTogether },
  { name: 'VM limit', purposes: VMS, overridable: true, room: true, check: checkVmLimit },
  { name: 'memory', purposes: VMS, overridable: true, room: true, check: checkMemory },
  { name: 'vCPUs', purposes: VMS, overridable: true, room: true, check: checkVcpus },
  { name: 'storage', purposes: VOLUMES, overridable: false, room: false, check: checkStoragePools },
  { name: 'storage room', purposes: VOLUMES, overridable: true, room: true, check: checkStorageRoom },
  { name: 'networks', purposes: ARRIVALS, overridable: false, room: false, check: checkNetworks },
  { name: 'machine type', purposes: ARRIVALS, overridable: false, room: false, check: checkMachine },
  { name: 'CPU model', purposes: ARRIVALS, overridable: false, room: false, check: checkCpuModel },
  { name: 'names', purposes: VOLUMES, overridable: false, room: true, check: checkNames },
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

/**
 * A QEMU knows the machine types up to its own version, so a VM of a newer one ends there, live, cold or restored. Only
 * that much is certain: names without a version (`pc`, those of distributions) and what other hypervisors say pass.
 */
function checkMachine({ vm, room: { blade } }: Candidate): Reason[] {
  const wanted = versionOf(/^(?:pc-q35|pc-i440fx|virt|pseries)-(\d+)\.(\d+)$/, vm.machine)
  const there = versionOf(/^QEMU (\d+)\.(\d+)/, blade.capacity?.hypervisor ?? '')
  if (wanted === undefined || there === undefined || wanted <= there) return []
  return [
    {
      code: 'machine-unknown',
      blade: blade.name,
      text: `${vm.name} is a ${vm.machine}, which is newer than the hypervisor of ${blade.name} (${blade.capacity?.hypervisor})`,
    },
  ]
}

/** Comparable: minor versions stay below a thousand. */
function versionOf(pattern: RegExp, text: string): number | undefined {
  const found = pattern.exec(text)
  return found === null ? undefined : Number(found[1]) * 1000 + Number(found[2])
}
