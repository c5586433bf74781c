import type { Step } from '../solver/model.ts'
import type { State } from '../solver/state.ts'
import type { Shortage } from './shortage.ts'

/** Gains below it are the rounding of fractions. */
export const EPSILON = 1e-9

export interface BalanceOptions {
  readonly state: State
  /** Of each blade, its memory in bytes: what VMs may use in all. */
  readonly memoryBytes: readonly number[]
  /** 1: the VM may be moved. */
  readonly movable: Uint8Array
  readonly mostMoves: number
  /** A move for the load's sake lowers the fuller of its two blades by this share of its memory, or is not worth it. */
  readonly leastGain: number
}

/** Share of its memory that each blade's VMs take, as the state is when it is asked. */
export function loadsOf({ state, memoryBytes }: BalanceOptions): (blade: number) => number {
  const { free, model } = state
  return blade => {
    const all = memoryBytes[blade] as number
    return all <= 0 ? 0 : (all - (free[blade * model.dims] as number)) / all
  }
}

export function canMove(state: State, vm: number, from: number, to: number): boolean {
  if (from === to) return false
  state.lift(vm)
  const fits = state.fits(vm, to)
  state.unlift(vm, from)
  return fits
}

export function apply(state: State, { vm, to }: Step): void {
  state.lift(vm)
  state.put(vm, to)
}

export function undo(state: State, { vm, from, to }: Step): void {
  state.unput(vm, to)
  state.unlift(vm, from)
}

export function sum(lost: readonly Shortage[]): number {
  return lost.reduce((so, each) => so + each.amount, 0)
}

export function work(state: State, step: Step): number {
  return state.model.work[step.vm] as number
}
