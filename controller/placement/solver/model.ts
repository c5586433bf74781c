/**
 * The placement problem in plain numbers, so that a search can try a million placements a second. Blades and VMs are
 * indices; room is a row of `dims` numbers for each blade (memory, places, vCPUs, pools: see compile.ts). Nothing here
 * knows what a dimension means.
 */
export interface Model {
  readonly bladeCount: number
  readonly vmCount: number
  readonly dims: number
  /** Room left for newcomers, `[blade * dims + dim]`. Negative where a blade has more on it than it may. */
  readonly free: Float64Array
  /** What a VM takes where it arrives, `[vm * dims + dim]`. */
  readonly need: Float64Array
  /** What its leaving gives back, `[vm * dims + dim]`; less than it takes, where its volumes are thin. */
  readonly gives: Float64Array
  /** The blade of each VM; NOWHERE for one that is yet to come. */
  readonly at: Int32Array
  /** 1: the blade takes newcomers. */
  readonly open: Uint8Array
  /** 1: the VM may be asked to step aside. */
  readonly movable: Uint8Array
  /** What moving it costs, in bytes: those to copy, and the overhead of a move as if it were bytes. */
  readonly work: Float64Array
  /** More is placed first, if not all can be. */
  readonly priority: Float64Array
  /** Whether the blade could take the VM as far as no other VM changes it: networks, pools, CPU model, pins. */
  allows(vm: number, blade: number): boolean
  /** Sets of VMs of which no two may share a fault domain. */
  readonly apart: readonly ApartSet[]
  /** Of each VM: the sets it is in, as indices into `apart`. */
  readonly apartOf: readonly (readonly number[])[]
  /** Sets of VMs that must share a blade. */
  readonly together: readonly (readonly number[])[]
  /** Of each VM: the sets it is in, as indices into `together`. */
  readonly togetherOf: readonly (readonly number[])[]
}

export interface ApartSet {
  /** Of each blade: its fault domain. */
  readonly domainOf: Int32Array
  readonly domainCount: number
}

export const NOWHERE = -1

/** A move of the search. */
export interface Step {
  readonly vm: number
  readonly from: number
  readonly to: number
}

/** Steps of search, each a look at one VM and one blade, that may still be taken. Not a clock: the same input gives the same plan on any machine. */
export interface Budget {
  left: number
}

/** About what one core of a small server does in a millisecond. */
const STEPS_PER_MS = 40_000

/** A budget of search steps that takes about so long. */
export function budgetOf(milliseconds: number): Budget {
  return { left: Math.max(1, Math.round(milliseconds * STEPS_PER_MS)) }
}
