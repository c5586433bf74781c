import type { Fact } from './health.ts'
import type { Reason } from './reason.ts'

/** The three axes of a blade, never mixed into one (each state set is written once, with its meaning). */
export const ADMIN_STATES = {
  'in-service': 'takes VMs',
  cordoned: 'keeps its VMs, takes no new one',
  maintenance: 'is being worked on: takes none, and silence is no alert',
} as const
export type AdminState = keyof typeof ADMIN_STATES

export const HEALTH_STATES = {
  healthy: 'everything that was there at enrolment reads well',
  moderate: 'something is lost, a second loss would hurt: quarantined',
  severe: 'VMs are in danger',
  unknown: 'nothing readable yet, or a sensor cannot be read',
} as const
export type Health = keyof typeof HEALTH_STATES

export const LIVENESS_STATES = {
  up: 'reports arrive',
  suspect: 'reports are late',
  silent: 'no report for the silence limit',
  fenced: 'proven not to run its VMs',
} as const
export type Liveness = keyof typeof LIVENESS_STATES

export const VM_STATES = {
  running: 'executes',
  paused: 'in memory, does not execute',
  stopped: 'defined, not in memory',
  crashed: 'ended by itself',
  moving: 'part of a move',
  lost: 'its blade does not report',
  unknown: 'libvirt says something else',
} as const
export type VmState = keyof typeof VM_STATES

export const STORAGE_KINDS = {
  thick: 'an LV of a volume group',
  thin: 'an LV of a thin pool',
  file: 'a raw or qcow2 file',
} as const
export type StorageKind = keyof typeof STORAGE_KINDS

export type VolumeFormat = 'raw' | 'qcow2'

/** One disk of a VM. `pool` is `vg0` (thick), `vg0/pool` (thin) or the directory (file). */
export interface Volume {
  readonly target: string
  readonly path: string
  readonly storage: StorageKind
  readonly pool: string
  readonly sizeBytes: number
  readonly allocatedBytes: number
  readonly format: VolumeFormat
}

/** A VM as one blade sees it. */
export interface Vm {
  readonly id: string
  readonly name: string
  readonly state: VmState
  readonly memoryBytes: number
  readonly vcpus: number
  readonly volumes: readonly Volume[]
  readonly networks: readonly string[]
  /** Why it cannot move as it stands; empty when it can. */
  readonly obstacles: readonly Reason[]
  readonly epoch: number
  readonly machine: string
  readonly cpuModel: string
  readonly persistent: boolean
  /** Arriving by a move that is not confirmed yet. */
  readonly incoming: boolean
}

export interface StoragePool {
  readonly name: string
  readonly storage: StorageKind
  readonly sizeBytes: number
  readonly freeBytes: number
  /** Held by source volumes kept for their grace time; given up when the room is needed. */
  readonly reclaimableBytes: number
}

export interface Capacity {
  readonly memoryBytes: number
  /** Kept for the host itself and QEMU's overhead. */
  readonly reservedMemoryBytes: number
  readonly cpus: number
  readonly pools: readonly StoragePool[]
  /** Bridges and libvirt networks a VM may be plugged into. */
  readonly networks: readonly string[]
  readonly hypervisor: string
  /** CPU models the hypervisor can offer; empty: not known, so not checked. */
  readonly cpuModels: readonly string[]
}

/** What one agent says of its blade. The newest wins; nothing queues up. */
export interface BladeReport {
  readonly sequence: number
  readonly observedAt: number
  readonly facts: readonly Fact[]
  readonly vms: readonly Vm[]
  readonly capacity: Capacity
  /** False when a probe or libvirt did not answer in time; what is there is good. */
  readonly complete: boolean
}
