import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { Relief, UnplacedVm } from '../placement/plan.ts'
import { findRelief } from '../placement/relief.ts'
import { type Asker, asRestored, createAsker, withReasons } from '../placement/returns.ts'
import { isOpen, type Rooms, roomsOf } from '../placement/room.ts'
import { domainsOf, FAULT_DOMAINS, type FaultDomain } from '../placement/rules.ts'
import { DEFAULT_LIMITS, expectedEnds, type PlanRates } from '../placement/times.ts'
import type { PointOf, ReturnPoint } from './return-point.ts'

/** What would happen if a part of the fleet died now. */
export interface Loss {
  readonly kind: FaultDomain
  readonly name: string
  /** Those that die with it, by name; none where every blade has another feed or switch. */
  readonly blades: readonly string[]
  /** How many blades are left then that take VMs. */
  readonly bladesLeft: number
  /** In the order in which they come back. */
  readonly returns: readonly ReturningVm[]
  /** Those without a place, with the reasons. */
  readonly unplaced: readonly UnplacedVm[]
  /** Of all that die, those that have nothing in a vault to come back from, by name. */
  readonly withoutPoint: readonly string[]
  /** Until the last one that can come back is there, in milliseconds; 0: none does. */
  readonly allBackMs: number
  /** What would make room for those without a place. */
  readonly relief: readonly Relief[]
}

export interface ReturningVm {
  readonly vm: VmView
  readonly to: string
  /** Undefined: its place is there, itself is lost. */
  readonly point: ReturnPoint | undefined
  /** From the start of the restores; 0 without a restore point. */
  readonly backAfterMs: number
}

export interface LossSources {
  readonly snapshot: FleetSnapshot
  readonly pointOf: PointOf
  /** Only what takes that blade with it; empty: all there is. */
  readonly blade: string
}

/** What would help half a fleet is no small change any more. */
const MOST_RELIEVED = 64
/** Each is a search of its own: of a fleet that could lose none of its blades, the first are looked into. */
const MOST_RELIEFS = 12
const SMALL_FLEET = 64
const MOST_RELIEFS_IN_LARGE_FLEETS = 2

/** One for each blade, chassis, feed and switch, in that order, each kind by name. */
export function lossesOf({ snapshot, pointOf, blade }: LossSources): Loss[] {
  const rooms = roomsOf(snapshot)
  const ask = createAsker(rooms, snapshot.vms)
  const vmsOf = Map.groupBy(snapshot.vms, vm => vm.blade)
  let reliefs = snapshot.blades.length <= SMALL_FLEET ? MOST_RELIEFS : MOST_RELIEFS_IN_LARGE_FLEETS
  return (Object.keys(FAULT_DOMAINS) as FaultDomain[]).flatMap(kind =>
    domains(snapshot, kind)
      .filter(([, blades]) => blade === '' || blades.includes(blade))
      .map(([name, blades]) => {
        const vms = blades.flatMap(each => vmsOf.get(each) ?? [])
        const loss = lossOf({ kind, name, blades, vms }, { snapshot, rooms, ask, pointOf })
        const isLost = loss.unplaced.length > 0 && loss.bladesLeft > 0
        if (!isLost || vms.length > MOST_RELIEVED || reliefs === 0) return loss
        reliefs -= 1
        return { ...loss, relief: reliefFor(vms, blades, snapshot) }
      }),
  )
}

/** Each domain of that kind, with the blades that die with it. Those with a second feed or switch live on. */
function domains({ blades }: FleetSnapshot, kind: FaultDomain): [string, string[]][] {
  const all = new Map<string, string[]>()
  for (const blade of blades) {
    for (const name of namesOf(blade, kind)) if (!all.has(name)) all.set(name, [])
    for (const name of domainsOf(blade, kind)) all.get(name)?.push(blade.name)
  }
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1))
}

function namesOf(blade: FleetSnapshot['blades'][number], kind: FaultDomain): readonly string[] {
  if (kind === 'feed') return blade.feeds
  return kind === 'switch' ? blade.switches : domainsOf(blade, kind)
}

interface Dying {
  readonly kind: FaultDomain
  readonly name: string
  readonly blades: readonly string[]
  readonly vms: readonly VmView[]
}

interface World {
  readonly snapshot: FleetSnapshot
  readonly rooms: Rooms
  readonly ask: Asker
  readonly pointOf: PointOf
}

function lossOf({ vms, ...dying }: Dying, { snapshot, rooms, ask, pointOf }: World): Loss {
  const dead = new Set(dying.blades)
  const answer = ask(vms, dead)
  const { returns } = answer
  const unplaced = withReasons(rooms, dead, answer)
  const timed = withTimes(
    returns.map(({ vm, to }) => ({ vm, to, point: pointOf(vm.id) })),
    snapshot.rates,
  )
  return {
    ...dying,
    bladesLeft: snapshot.blades.filter(blade => isOpen(blade) && !dying.blades.includes(blade.name)).length,
    returns: timed,
    unplaced,
    withoutPoint: vms.filter(vm => pointOf(vm.id) === undefined).map(vm => vm.name),
    allBackMs: Math.max(0, ...timed.map(each => each.backAfterMs)),
    relief: [],
  }
}

/** What would give every one of these VMs a place if those blades were gone. */
export function reliefFor(
  vms: readonly VmView[],
  dead: readonly string[],
  snapshot: FleetSnapshot,
): readonly Relief[] {
  const fleet = { ...snapshot, vms: snapshot.vms.map(asRestored) }
  const coming = vms.map(asRestored).filter(vm => vm.obstacles.length === 0)
  return findRelief(fleet, coming, new Set(dead), {
    purpose: 'restore',
    mostAside: 0,
    keepNPlusOne: false,
    budgetMs: 0,
    overheadBytes: 0,
  })
}

/** All of them are read from the vault, and share what it sends. */
const VAULT = ''

/**
 * Restores start in the order of the list, two at a time onto each blade. What one restore gets alone is what all of them
 * share: the vault's disk or link is what they wait for, and hope is no plan for a night.
 */
function withTimes(returns: readonly Omit<ReturningVm, 'backAfterMs'>[], rates: PlanRates): ReturningVm[] {
  const restored = returns.filter(each => each.point !== undefined)
  const copies = restored.map(({ to, point }) => ({
    from: VAULT,
    to,
    bytes: point?.sizeBytes ?? 0,
    needs: [],
  }))
  const ends = expectedEnds(
    copies,
    { ...rates, links: {}, sources: { [VAULT]: rates.restoreBytesPerSecond } },
    { ...DEFAULT_LIMITS, concurrentPerSource: Math.max(1, copies.length) },
  )
  return returns.map(each => {
    const index = restored.indexOf(each)
    return { ...each, backAfterMs: index < 0 ? 0 : (ends[index] ?? 0) }
  })
}
