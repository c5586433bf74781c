import type { Reason } from '../../shared/domain/reason.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { findVm } from './gate.ts'
import { loadOf } from './load.ts'
import { compareVms, type Placed, type Placement, placeAll } from './place.ts'
import type { Plan, PlannedMove, UnplacedVm } from './plan.ts'
import { type Rooms, roomsOf } from './room.ts'
import { nPlusOneOf } from './survives.ts'
import { DEFAULT_LIMITS, expectedDowntimeMs, expectedEnds, type PlanLimits, type PlanRates } from './times.ts'

export { DEFAULT_LIMITS, DEFAULT_RATES, type PlanLimits, type PlanRates } from './times.ts'

interface PlanHead {
  /** Empty for a plan that is only shown. */
  readonly id: string
  /** Why, in words. */
  readonly cause: string
  readonly now: number
  readonly rates?: PlanRates
  readonly limits?: PlanLimits
}

export interface EvacuationRequest extends PlanHead {
  readonly bladeName: string
}

export interface MoveRequest extends PlanHead {
  readonly vmId: string
  /** Default: the best blade. */
  readonly to?: string
  /** See AdmitOptions. Without `to` it is ignored: nobody overrides rules for a blade that he did not name. */
  readonly override?: boolean
}

/**
 * A plan that empties the blade. Every VM of it is either in `moves` or in `unplaced` with reasons, never in neither.
 * Throws `not-found` for an unknown blade.
 */
export function planEvacuation(snapshot: FleetSnapshot, request: EvacuationRequest): Plan {
  const blade = snapshot.blades.find(each => each.name === request.bladeName)
  if (blade === undefined) {
    throw new LifeboatError('not-found', `there is no blade ${request.bladeName}; see lifeboat blade list`)
  }
  const vms = snapshot.vms.filter(vm => vm.blade === blade.name)
  const placed = placeFrom(blade, vms, closed(roomsOf(snapshot), blade.name), {})
  return assemble(snapshot, blade.name, placed, request)
}

/** A plan for one VM. Throws `not-found` for an unknown VM; an unknown or unfit target is a reason in `unplaced`. */
export function planMove(snapshot: FleetSnapshot, request: MoveRequest): Plan {
  const vm = findVm(snapshot, request.vmId)
  const rooms = roomsOf(snapshot)
  const { to } = request
  if (to !== undefined && !rooms.has(to)) {
    const reasons: Reason[] = [{ code: 'blade-unknown', blade: to, text: `there is no blade ${to}` }]
    const placed = { placements: [], unplaced: [{ vmId: vm.id, vm: vm.name, reasons }], rooms }
    return assemble(snapshot, vm.blade, placed, request)
  }
  const blade = snapshot.blades.find(each => each.name === vm.blade)
  const options = to === undefined ? {} : { only: to, override: request.override ?? false }
  return assemble(snapshot, vm.blade, placeFrom(blade, [vm], rooms, options), request)
}

/** Nothing is planned on what a silent blade said last: its VMs may be anywhere and in any state (rules 1 and 9). */
function placeFrom(
  source: BladeView | undefined,
  vms: readonly VmView[],
  rooms: Rooms,
  options: { readonly only?: string; readonly override?: boolean },
): Placed {
  if (source?.liveness === 'up') return placeAll(vms, rooms, options)
  const name = source?.name ?? ''
  const unplaced: UnplacedVm[] = vms.toSorted(compareVms).map(vm => ({
    vmId: vm.id,
    vm: vm.name,
    reasons: [
      { code: 'facts-stale', blade: name, text: `${name} does not report, so ${vm.name} may be anything` },
    ],
  }))
  return { placements: [], unplaced, rooms }
}

/** An emptied blade is not one to count on: in the fleet after the plan it takes nothing. */
function closed(rooms: Rooms, name: string): Rooms {
  const room = rooms.get(name)
  if (room === undefined || room.blade.admin !== 'in-service') return rooms
  return new Map(rooms).set(name, { ...room, blade: { ...room.blade, admin: 'cordoned' } })
}

function assemble(snapshot: FleetSnapshot, blade: string, placed: Placed, head: PlanHead): Plan {
  const rates = head.rates ?? snapshot.rates
  const moves = timed(inStartOrder(placed.placements), rates, head.limits ?? DEFAULT_LIMITS)
  const targets = new Map(placed.placements.map(({ vm, to }) => [vm.id, to]))
  const vmsAfter = snapshot.vms.map(vm => ({ ...vm, blade: targets.get(vm.id) ?? vm.blade }))
  return {
    id: head.id,
    createdAt: head.now,
    blade,
    cause: head.cause,
    snapshotGeneration: snapshot.generation,
    moves,
    unplaced: placed.unplaced,
    after: [...placed.rooms.values()].map(loadOf).sort((a, b) => (a.blade < b.blade ? -1 : 1)),
    relief: [],
    nPlusOne: nPlusOneOf(vmsAfter, placed.rooms),
    expectedEndMs: Math.max(0, ...moves.map(move => move.expectedEndMs)),
  }
}

/** Running VMs leave first, those that are off wait: somebody uses the former. Otherwise as they were chosen. */
function inStartOrder(placements: readonly Placement[]): Placement[] {
  return placements.toSorted((a, b) => Number(a.method === 'cold') - Number(b.method === 'cold'))
}

function timed(placements: readonly Placement[], rates: PlanRates, limits: PlanLimits): PlannedMove[] {
  const drafts = placements.map(({ vm, to, method, scores, rejected }) => ({
    role: 'leaves' as const,
    needs: [],
    vmId: vm.id,
    vm: vm.name,
    from: vm.blade,
    to,
    method,
    volumeBytes: vm.volumes.reduce((sum, volume) => sum + volume.sizeBytes, 0),
    memoryBytes: vm.memoryBytes,
    expectedDowntimeMs: expectedDowntimeMs(method, rates),
    scores,
    rejected,
  }))
  // A cold copy carries no memory.
  const copies = drafts.map(draft => ({
    from: draft.from,
    to: draft.to,
    needs: [],
    bytes: draft.volumeBytes + (draft.method === 'live' ? draft.memoryBytes : 0),
  }))
  const ends = expectedEnds(copies, rates, limits)
  return drafts.map((draft, index) => ({ ...draft, expectedEndMs: ends[index] ?? 0 }))
}
