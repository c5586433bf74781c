import type { Reason } from '../../shared/domain/reason.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { assemble, type PlanHead } from './assemble-plan.ts'
import { bestPlaces } from './best-places.ts'
import { findVm } from './gate.ts'
import { policyReasons } from './movable.ts'
import { compareVms, type Placed, placeAll } from './place.ts'
import type { Plan, UnplacedVm } from './plan.ts'
import { type Rooms, roomsOf } from './room.ts'
import type { AskedCause } from './rules.ts'
import { evacuationSearch } from './search-places.ts'

export interface EvacuationRequest extends PlanHead {
  readonly bladeName: string
  /** Emptied by the same plan. Default: none. */
  readonly alsoBlades?: readonly string[]
  /** About as long as the search may take. @default 1 s */
  readonly budgetMs?: number
  /** What each VM's policy goes by. Default: a person asked. */
  readonly trigger?: AskedCause
}

export interface MoveRequest extends PlanHead {
  readonly vmId: string
  /** Default: the best blade. */
  readonly to?: string
  /** See AdmitOptions. Without `to` it is ignored: nobody overrides rules for a blade that he did not name. */
  readonly override?: boolean
}

/**
 * A plan that empties the blade, and the others named with it. Every VM of it is either in `moves` or in `unplaced` with
 * reasons, never in neither. Throws `not-found` for an unknown blade.
 */
export function planEvacuation(snapshot: FleetSnapshot, request: EvacuationRequest): Plan {
  const names = [request.bladeName, ...(request.alsoBlades ?? [])]
  const emptied = names.map(name => findBlade(snapshot, name))
  const here = snapshot.vms.filter(vm => names.includes(vm.blade)).sort(compareVms)
  const upright = new Set(emptied.filter(blade => blade.liveness === 'up').map(blade => blade.name))
  const wanted = here.map(vm => ({
    vm,
    reasons: upright.has(vm.blade)
      ? policyReasons(snapshot.rules, vm, request.trigger ?? 'asked')
      : staleReasons(vm.blade, vm),
  }))
  const leaving = wanted.filter(({ reasons }) => reasons.length === 0).map(({ vm }) => vm)
  const staying = wanted
    .filter(({ reasons }) => reasons.length > 0)
    .map(({ vm, reasons }) => unplacedVm(vm, reasons))
  const { placed, nPlusOne, relief } = bestPlaces(snapshot, {
    leaving,
    rooms: names.reduce(closed, roomsOf(snapshot)),
    search: evacuationSearch(request.rates ?? snapshot.rates, request.budgetMs),
    emptied: new Set(names),
    mostSearched: Number.POSITIVE_INFINITY,
  })
  const told = new Map([...placed.unplaced, ...staying].map(each => [each.vmId, each]))
  const unplaced = here.flatMap(vm => told.get(vm.id) ?? [])
  const plan = assemble(snapshot, names.join(', '), { ...placed, unplaced }, request, nPlusOne)
  return { ...plan, relief }
}

function findBlade(snapshot: FleetSnapshot, name: string): BladeView {
  const blade = snapshot.blades.find(each => each.name === name)
  if (blade !== undefined) return blade
  throw new LifeboatError('not-found', `there is no blade ${name}; see lifeboat blade list`)
}

/** A plan for one VM. Throws `not-found` for an unknown VM; an unknown or unfit target is a reason in `unplaced`. */
export function planMove(snapshot: FleetSnapshot, request: MoveRequest): Plan {
  const vm = findVm(snapshot, request.vmId)
  const rooms = roomsOf(snapshot)
  const { to } = request
  const refused = (reasons: readonly Reason[]): Placed => ({
    placements: [],
    unplaced: [unplacedVm(vm, reasons)],
    rooms,
  })
  const place = (): Placed => {
    if (to !== undefined && !rooms.has(to))
      return refused([{ code: 'blade-unknown', blade: to, text: `there is no blade ${to}` }])
    const source = rooms.get(vm.blade)?.blade
    if (source?.liveness !== 'up') return refused(staleReasons(source?.name ?? '', vm))
    return placeAll([vm], rooms, to === undefined ? {} : { only: to, override: request.override ?? false })
  }
  return assemble(snapshot, vm.blade, place(), request)
}

/** Nothing is planned on what a silent blade said last: its VMs may be anywhere and in any state (rules 1 and 9). */
function staleReasons(blade: string, vm: VmView): Reason[] {
  return [{ code: 'facts-stale', blade, text: `${blade} does not report, so ${vm.name} may be anything` }]
}

function unplacedVm(vm: VmView, reasons: readonly Reason[]): UnplacedVm {
  return { vmId: vm.id, vm: vm.name, reasons }
}

/** An emptied blade is not one to count on: in the fleet after the plan it takes nothing. */
function closed(rooms: Rooms, name: string): Rooms {
  const room = rooms.get(name)
  if (room === undefined || room.blade.admin !== 'in-service') return rooms
  return new Map(rooms).set(name, { ...room, blade: { ...room.blade, admin: 'cordoned' } })
}
