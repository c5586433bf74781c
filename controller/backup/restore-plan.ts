import type { Reason } from '../../shared/domain/reason.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { Purpose } from '../placement/filters.ts'
import { bladeReasons } from '../placement/gate.ts'
import { whereaboutsOf } from '../placement/groups.ts'
import type { BladeScore } from '../placement/plan.ts'
import { type Room, type Rooms, roomsOf, sparingKept, withArrival } from '../placement/room.ts'
import { compareScores, scoreRoom } from '../placement/score.ts'
import { nPlusOneOf } from '../placement/survives.ts'
import { mapVolumes, type VolumeWish } from './volumes.ts'

export interface RestoreWish extends VolumeWish {
  /** `restore`: a VM comes; `volume`: one disk alone. */
  readonly purpose: Extract<Purpose, 'restore' | 'volume'>
  /** Of the VM to be. */
  readonly id: string
  /** What people are told of it; default: its name. */
  readonly title?: string
  readonly memoryBytes: number
  readonly vcpus: number
  readonly networks: readonly string[]
  readonly machine: string
  readonly cpuModel: string
  /** It comes into memory at once. */
  readonly start: boolean
  /** Only this blade will do; empty: the best. */
  readonly to: string
  /** Before better ones, if it will do; empty: none. */
  readonly prefer: string
  readonly override: boolean
  /** Only into room that is free, without dropping what was kept after a move (boot tests; rule 3). */
  readonly sparesKept: boolean
  /** Only where any one blade may still fail beside it (boot tests). */
  readonly besideNPlusOne: boolean
}

export interface RestorePlan {
  readonly to: string
  /** As it shall be there, with its volumes. */
  readonly vm: VmView
  /** The candidates, best first. */
  readonly scores: readonly BladeScore[]
}

const ELSEWHERE =
  'without `--to` it goes to the best blade that takes it; `lifeboat capacity` shows the room of each'

/** A VM that is restored comes by itself. */
const ALONE: ReadonlySet<string> = new Set()

interface Candidate {
  readonly blade: string
  readonly vm: VmView
  readonly reasons: readonly Reason[]
  readonly score: BladeScore | undefined
  /** Nothing but N+1 speaks against it. */
  readonly couldBeNamed: boolean
}

/** Where a restore point becomes a VM, through the one gate (rules 5 and 6). Pure. Throws `refused` with all reasons. */
export function planRestore(snapshot: FleetSnapshot, wish: RestoreWish): RestorePlan {
  const rooms = roomsOf(snapshot)
  const candidates = [...rooms.values()]
    .filter(room => wish.to === '' || room.blade.name === wish.to)
    .sort((a, b) => (a.blade.name < b.blade.name ? -1 : 1))
    .map(room => candidateOf(room, wish, snapshot, rooms))
  const scores = candidates
    .flatMap(each => (each.score === undefined ? [] : [each.score]))
    .sort(compareScores)
  const preferred = scores.find(score => score.blade === wish.prefer) ?? scores[0]
  const best = candidates.find(each => each.blade === preferred?.blade)
  if (best !== undefined) return { to: best.blade, vm: best.vm, scores }
  throw noPlace(wish, candidates)
}

function noPlace(wish: RestoreWish, candidates: readonly Candidate[]): LifeboatError {
  const { name, title = name, to } = wish
  const why =
    candidates.length === 0
      ? [to === '' ? 'there is no blade' : `there is no blade ${to}`]
      : candidates.flatMap(each => each.reasons.map(reason => reason.text.replaceAll(name, title)))
  const where = to === '' ? 'on any blade' : `on ${to}`
  return new LifeboatError('refused', `${title} finds no place ${where}`, {
    details: [...why, ...candidates.flatMap(wayOut), ...(to === '' ? [] : [ELSEWHERE])],
  })
}

/** What a person can do so that this blade takes it; nothing when that does not lie in a word. */
function wayOut({ blade, reasons, couldBeNamed }: Candidate): string[] {
  if (couldBeNamed) return [`\`--to ${blade}\` puts it on ${blade} all the same`]
  return reasons.every(reason => reason.code === 'blade-not-in-service')
    ? [`\`lifeboat blade uncordon ${blade}\` lets ${blade} take VMs again`]
    : []
}

function candidateOf(room: Room, wish: RestoreWish, snapshot: FleetSnapshot, rooms: Rooms): Candidate {
  const counted = wish.sparesKept ? sparingKept(room) : room
  const { volumes, reasons: missing } = mapVolumes(wish, counted)
  const vm = vmToBe(wish, volumes, snapshot.takenAt)
  // Nobody passes over a rule for a blade that he did not name.
  const override = wish.override && wish.to !== ''
  const asked = { vm, room: counted, purpose: wish.purpose, fleet: whereaboutsOf(rooms), company: ALONE }
  const reasons = [...missing, ...bladeReasons(asked, override)]
  const lost = reasons.length === 0 && wish.besideNPlusOne ? lostNPlusOne(room, vm, snapshot, rooms) : []
  reasons.push(...lost)
  return {
    blade: room.blade.name,
    vm,
    reasons,
    score: reasons.length === 0 ? scoreRoom({ ...asked, room }) : undefined,
    couldBeNamed: lost.length > 0,
  }
}

function lostNPlusOne(room: Room, vm: VmView, snapshot: FleetSnapshot, rooms: Rooms): Reason[] {
  const after = new Map(rooms).set(room.blade.name, withArrival(room, vm))
  const nPlusOne = nPlusOneOf(snapshot.vms, after)
  if (nPlusOne.kept) return []
  return [
    {
      code: 'memory-short',
      blade: room.blade.name,
      text: `with ${vm.name} on ${room.blade.name} ${nPlusOne.text}`,
    },
  ]
}

function vmToBe(wish: RestoreWish, volumes: VmView['volumes'], now: number): VmView {
  const { id, name, memoryBytes, vcpus, networks, machine, cpuModel, start } = wish
  return {
    id,
    name,
    state: start ? 'running' : 'stopped',
    memoryBytes,
    vcpus,
    volumes,
    networks,
    obstacles: [],
    epoch: 0,
    machine,
    cpuModel,
    persistent: true,
    blade: '',
    operation: '',
    seenAt: now,
  }
}
