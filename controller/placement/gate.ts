import type { Reason } from '../../shared/domain/reason.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { type Candidate, FILTERS, type Purpose } from './filters.ts'
import { whereaboutsOf } from './groups.ts'
import { methodOf, vmObstacles } from './movable.ts'
import type { BladeScore, PlannedMove } from './plan.ts'
import { type Rooms, roomsOf, sparingKept } from './room.ts'
import { scoreRoom } from './score.ts'

export interface AdmitOptions {
  /** Default: `start` when the VM is on that blade, else `move`. */
  readonly purpose?: Purpose
  /** A person passes over rules 5 and 6 for this one command; what cannot work stays refused. Default false. */
  readonly override?: boolean
  /** Volumes kept after a move are not counted as room. Default false. */
  readonly sparesKept?: boolean
  /** The operation that asks: being its own VM's operation, it is not in its own way. Default none. */
  readonly operation?: string
  /** Ids of VMs that are to come to the same blade by the same plan: see `companyOf`. Default none. */
  readonly company?: ReadonlySet<string>
}

const ALONE: ReadonlySet<string> = new Set()

/**
 * The one gate (rules 5 and 6): may this VM run on this blade? Empty: yes. Start, migrate, plan and apply ask here and
 * nowhere else; each asks again right before it acts, on a fresh snapshot.
 */
export function admit(
  snapshot: FleetSnapshot,
  vm: VmView,
  bladeName: string,
  options: AdmitOptions = {},
): Reason[] {
  return admitTo(roomsOf(snapshot), vm, bladeName, options)
}

function admitTo(rooms: Rooms, vm: VmView, bladeName: string, options: AdmitOptions = {}): Reason[] {
  const purpose = options.purpose ?? (vm.blade === bladeName ? 'start' : 'move')
  const own = vmObstacles(vm, purpose, options.operation)
  const room = rooms.get(bladeName)
  if (room === undefined)
    return [...own, { code: 'blade-unknown', blade: bladeName, text: `there is no blade ${bladeName}` }]
  const counted = options.sparesKept === true ? sparingKept(room) : room
  const { override = false, company = ALONE } = options
  const candidate = { vm, room: counted, purpose, fleet: whereaboutsOf(rooms), company }
  return [...own, ...bladeReasons(candidate, override)]
}

/**
 * What speaks against the blade, leaving out what speaks against the VM itself. The planner asks here, once for each
 * blade, with rooms that hold the moves it has planned so far.
 */
export function bladeReasons(candidate: Candidate, override: boolean): Reason[] {
  const { blade } = candidate.room
  if (blade.capacity === undefined) {
    return [{ code: 'blade-unknown', blade: blade.name, text: `${blade.name} has not reported yet` }]
  }
  return FILTERS.filter(
    filter => filter.purposes.includes(candidate.purpose) && !(override && filter.overridable),
  ).flatMap(filter => filter.check(candidate))
}

export interface WhyNot {
  readonly possible: boolean
  /** All of them, the VM's own first. */
  readonly reasons: readonly Reason[]
  /** How good the blade would be; undefined when it is refused. */
  readonly score: BladeScore | undefined
}

/** Why the VM could not move to that blade now. Throws `not-found` for a VM that is not in the snapshot. */
export function whyNot(snapshot: FleetSnapshot, vmId: string, bladeName: string): WhyNot {
  const vm = findVm(snapshot, vmId)
  const rooms = roomsOf(snapshot)
  const room = rooms.get(bladeName)
  const reasons = admitTo(rooms, vm, bladeName, { purpose: 'move' })
  if (reasons.length > 0 || room === undefined) return { possible: false, reasons, score: undefined }
  const score = scoreRoom({ room, vm, fleet: whereaboutsOf(rooms), company: ALONE })
  return { possible: true, reasons, score }
}

/**
 * Is a planned move still right on a fresh snapshot? Empty: yes. The world moves between plan and apply, and a plan
 * leaves no choice: a move that no longer fits is not bent, it is refused with the reason.
 */
export function recheckMove(
  snapshot: FleetSnapshot,
  move: Pick<PlannedMove, 'vmId' | 'vm' | 'from' | 'to' | 'method'>,
  options: Omit<AdmitOptions, 'purpose'> = {},
): Reason[] {
  const vm = snapshot.vms.find(each => each.id === move.vmId)
  if (vm === undefined) {
    return [{ code: 'facts-stale', blade: move.from, text: `no blade reports ${move.vm} any more` }]
  }
  if (vm.blade !== move.from) {
    return [
      {
        code: 'facts-stale',
        blade: vm.blade,
        text: `${vm.name} is on ${vm.blade}, the plan has it on ${move.from}`,
      },
    ]
  }
  const source = snapshot.blades.find(blade => blade.name === move.from)
  const reasons = admit(snapshot, vm, move.to, { ...options, purpose: 'move' })
  if (source?.liveness !== 'up') {
    reasons.unshift({
      code: 'facts-stale',
      blade: move.from,
      text: `${move.from} does not report, so ${vm.name} may be anything`,
    })
  }
  const method = methodOf(vm)
  if (method !== undefined && method !== move.method) {
    reasons.unshift({
      code: 'vm-not-running',
      blade: move.from,
      text: `${vm.name} is ${vm.state}, the plan says ${move.method}: plan again`,
    })
  }
  return reasons
}

/**
 * Ids of the VMs that these moves bring to the same blade as that move. Hard groups that are kept together move one VM
 * after the other; between the first and the last, the plan is what keeps them together. Those whose moves have failed
 * do not come and are not to be among `moves`; who has arrived is where the snapshot has it.
 */
export function companyOf(
  moves: readonly Pick<PlannedMove, 'to' | 'vmId'>[],
  { to, vmId }: Pick<PlannedMove, 'to' | 'vmId'>,
): ReadonlySet<string> {
  const along = moves.filter(move => move.to === to && move.vmId !== vmId)
  return new Set(along.map(move => move.vmId))
}

/** Throws `not-found`. */
export function findVm(snapshot: FleetSnapshot, vmId: string): VmView {
  const vm = snapshot.vms.find(each => each.id === vmId)
  if (vm === undefined)
    throw new LifeboatError('not-found', `there is no VM with the id ${vmId}; see lifeboat vm list`)
  return vm
}
