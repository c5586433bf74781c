import type { StoragePool } from '../../shared/domain/fleet.ts'
import type { Method } from '../../shared/domain/operation.ts'
import type { Reason } from '../../shared/domain/reason.ts'

/** An immutable answer of the placement. Execution has no choice left: it re-checks each move and does it, or not. */
export interface Plan {
  readonly id: string
  readonly createdAt: number
  /** The blade that is emptied; for a single VM, the blade it leaves. */
  readonly blade: string
  /** Why it was made, in words. */
  readonly cause: string
  readonly snapshotGeneration: number
  /** In the order in which they are to start. */
  readonly moves: readonly PlannedMove[]
  readonly unplaced: readonly UnplacedVm[]
  /** Every blade's load when all moves are done. */
  readonly after: readonly BladeLoad[]
  /** What would make an infeasible plan possible, the smallest change first; empty when all are placed. */
  readonly relief: readonly Relief[]
  readonly nPlusOne: NPlusOne
  readonly expectedEndMs: number
}

/** Why a VM is moved by a plan. */
export const MOVE_ROLES = {
  leaves: 'it is on the blade that is emptied, or was asked for by name',
  'makes-room': 'it steps aside, so that another one fits',
  balances: 'it evens out the load, or restores N+1',
} as const
export type MoveRole = keyof typeof MOVE_ROLES

export interface PlannedMove {
  readonly role: MoveRole
  /** Ids of VMs whose moves must be done before: they free the room, or the rule, that this one needs. */
  readonly needs: readonly string[]
  readonly vmId: string
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly method: Method
  readonly volumeBytes: number
  readonly memoryBytes: number
  readonly expectedDowntimeMs: number
  /** From the start of the plan. */
  readonly expectedEndMs: number
  /** Every blade it could have gone to, best first. */
  readonly scores: readonly BladeScore[]
  /** Every blade that was refused, with the reason. */
  readonly rejected: readonly Reason[]
}

export interface BladeScore {
  readonly blade: string
  readonly total: number
  /** By name of the part; the sum is the total. */
  readonly parts: Readonly<Record<string, number>>
}

/** One change that would make the plan possible. */
export interface Relief {
  readonly kind: 'memory' | 'storage' | 'vcpus' | 'vm-limit' | 'blade' | 'rule' | 'uncordon'
  /** One line: '1.5 GiB more memory on any of blade04, blade05, blade06'. */
  readonly text: string
  /** Any one of these; empty where no blade is named. */
  readonly blades: readonly string[]
  /** Bytes, vCPUs, or VM places; 0 where it is no amount. */
  readonly amount: number
}

export interface UnplacedVm {
  readonly vmId: string
  readonly vm: string
  readonly reasons: readonly Reason[]
}

export interface BladeLoad {
  readonly blade: string
  readonly vms: number
  readonly maxVms: number
  readonly memoryUsedBytes: number
  readonly memoryTotalBytes: number
  readonly pools: readonly StoragePool[]
}

/** N+1: should any one blade die, all its VMs find a place on the others. One checker for status, planner and alerts. */
export interface NPlusOne {
  readonly kept: boolean
  readonly text: string
  readonly notSurvivable: readonly { readonly blade: string; readonly vms: readonly string[] }[]
}
