import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { loadsByName } from './load.ts'
import type { Placed, Placement } from './place.ts'
import type { NPlusOne, Plan, PlannedMove } from './plan.ts'
import { nPlusOneAfter } from './survives.ts'
import {
  copiedBytes,
  DEFAULT_LIMITS,
  expectedDowntimeMs,
  expectedEnds,
  type PlanLimits,
  type PlanRates,
  volumeBytesOf,
} from './times.ts'

export interface PlanHead {
  /** Empty for a plan that is only shown. */
  readonly id: string
  /** Why, in words. */
  readonly cause: string
  readonly now: number
  readonly rates?: PlanRates
  readonly limits?: PlanLimits
}

/** The plan of these placements, with times, loads and N+1 as they will be. `nPlusOne`: that one, if it is known. */
export function assemble(
  snapshot: FleetSnapshot,
  blade: string,
  placed: Placed,
  head: PlanHead,
  nPlusOne: NPlusOne = nPlusOneAfter(snapshot, placed),
): Plan {
  const rates = head.rates ?? snapshot.rates
  const moves = timed(placed.placements, rates, head.limits ?? DEFAULT_LIMITS)
  return {
    id: head.id,
    createdAt: head.now,
    blade,
    cause: head.cause,
    snapshotGeneration: snapshot.generation,
    moves,
    unplaced: placed.unplaced,
    after: loadsByName(placed.rooms),
    relief: [],
    nPlusOne,
    expectedEndMs: Math.max(0, ...moves.map(move => move.expectedEndMs)),
  }
}

function timed(placements: readonly Placement[], rates: PlanRates, limits: PlanLimits): PlannedMove[] {
  const drafts = placements.map(({ vm, role, needs, to, method, scores, rejected }) => ({
    role,
    needs,
    vmId: vm.id,
    vm: vm.name,
    from: vm.blade,
    to,
    method,
    volumeBytes: volumeBytesOf(vm),
    memoryBytes: vm.memoryBytes,
    expectedDowntimeMs: expectedDowntimeMs(method, rates),
    scores,
    rejected,
  }))
  const copies = drafts.map(draft => ({
    from: draft.from,
    to: draft.to,
    needs: draft.needs.map(id => placements.findIndex(({ vm }) => vm.id === id)).filter(index => index >= 0),
    bytes: copiedBytes(draft),
  }))
  const ends = expectedEnds(copies, rates, limits)
  return drafts.map((draft, index) => ({ ...draft, expectedEndMs: ends[index] ?? 0 }))
}
