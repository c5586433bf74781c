import type { AdminState, Capacity, Health, Liveness, Vm, VmState } from '../../shared/domain/fleet.ts'
import type { Fact } from '../../shared/domain/health.ts'
import type { PlacementRules } from '../placement/rules.ts'
import type { PlanRates } from '../placement/times.ts'

/**
 * One consistent, frozen read of everything a decision may look at. Made anew for each decision (controller/fleet/
 * build-snapshot.ts); deciding functions take it and nothing else.
 */
export interface FleetSnapshot {
  readonly generation: number
  readonly takenAt: number
  /** Sorted by name. */
  readonly blades: readonly BladeView[]
  /** Sorted by name. */
  readonly vms: readonly VmView[]
  readonly rules: PlacementRules
  readonly rates: PlanRates
}

export interface BladeView {
  readonly name: string
  readonly admin: AdminState
  readonly health: Health
  readonly liveness: Liveness
  /** Sentences: why the health is not healthy. */
  readonly healthReasons: readonly string[]
  readonly chassis: string
  readonly slot: number
  readonly feeds: readonly string[]
  readonly switches: readonly string[]
  readonly maxVms: number
  /** Of the newest report; 0: never reported. */
  readonly lastReportAt: number
  /** Undefined until the first report. */
  readonly capacity: Capacity | undefined
  readonly facts: readonly Fact[]
  readonly peerAddress: string
  /** Room taken by operations under way that the reports do not show yet. */
  readonly reservations: readonly Reservation[]
}

export interface Reservation {
  readonly operation: string
  readonly vmId: string
  readonly vmName: string
  readonly memoryBytes: number
  /** Absent in what was promised before vCPUs were counted. */
  readonly vcpus?: number
  readonly volumes: readonly { readonly pool: string; readonly storage: string; readonly bytes: number }[]
}

/** A VM as the fleet sees it: which blade has it, and what works on it. */
export interface VmView extends Omit<Vm, 'state' | 'incoming'> {
  readonly blade: string
  readonly state: VmState
  /** Highest epoch the controller gave out for it. */
  readonly epoch: number
  /** The operation that works on it; empty when none. */
  readonly operation: string
  readonly seenAt: number
  /** Admitted to start, and not reported running yet: its memory is taken. */
  readonly starting?: boolean
}
