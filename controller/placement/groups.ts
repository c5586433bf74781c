import type { Reason } from '../../shared/domain/reason.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { Candidate } from './filters.ts'
import type { Rooms } from './room.ts'
import { apartDomain, type GroupRule, groupsOf, ruleOf } from './rules.ts'

export interface Whereabout {
  readonly id: string
  readonly name: string
  readonly blade: BladeView
}

/** Where the VMs of that name are, or are promised to be: two of them, while one moves. */
export type Whereabouts = (vmName: string) => readonly Whereabout[]

/** Nothing is read until the first question: most VMs are in no group. */
export function whereaboutsOf(rooms: Rooms): Whereabouts {
  let byName: Map<string, Whereabout[]> | undefined
  return vmName => {
    if (byName === undefined) {
      byName = new Map()
      for (const { blade, vms } of rooms.values()) {
        for (const [id, { name }] of vms) {
          const list = byName.get(name)
          if (list === undefined) byName.set(name, [{ id, name, blade }])
          else list.push({ id, name, blade })
        }
      }
    }
    return byName.get(vmName) ?? []
  }
}

export function checkPinned({ vm, room }: Candidate): Reason[] {
  const { blades } = ruleOf(room.rules, vm.name)
  const { name } = room.blade
  if (blades.length === 0 || blades.includes(name)) return []
  return [{ code: 'pinned', blade: name, text: `${vm.name} may only be on ${orList(blades)}` }]
}

export function checkApart(candidate: Candidate): Reason[] {
  const { vm, room } = candidate
  return hardGroups('apart', candidate).flatMap(group =>
    metBy(group, candidate).map(met => ({
      code: 'kept-apart' as const,
      blade: room.blade.name,
      text: `${met.name} is on ${placeIn(met.blade, room.blade, group)}, and rule '${group.name}' keeps it apart from ${vm.name}`,
    })),
  )
}

export function checkTogether(candidate: Candidate): Reason[] {
  const { vm, room } = candidate
  return hardGroups('together', candidate).flatMap(group => {
    const [left] = leftBehind(group, candidate)
    if (left === undefined) return []
    return [
      {
        code: 'kept-together' as const,
        blade: room.blade.name,
        text: `${left.name} is on ${left.blade.name}, and rule '${group.name}' keeps it together with ${vm.name}`,
      },
    ]
  })
}

function hardGroups(kind: GroupRule['kind'], { vm, room }: Pick<Candidate, 'vm' | 'room'>): GroupRule[] {
  return groupsOf(room.rules, vm.name).filter(group => group.hard && group.kind === kind)
}

type Asked = Pick<Candidate, 'vm' | 'room' | 'fleet' | 'company'>

/** The others of the group. */
function others(group: GroupRule, { vm, fleet }: Asked): Whereabout[] {
  return group.vms.flatMap(name => fleet(name)).filter(each => each.id !== vm.id)
}

/** Those that the VM would not be apart from there. */
function metBy(group: GroupRule, asked: Asked): Whereabout[] {
  const domain = apartDomain(asked.room.blade, group.across)
  return others(group, asked).filter(each => apartDomain(each.blade, group.across) === domain)
}

/**
 * Of others that leave their blades as well, those that must have left before the VM may come: where they are they are
 * in one fault domain with it.
 */
export function inTheWay<Other extends Pick<VmView, 'id' | 'name' | 'blade'>>(
  { vm, room }: Pick<Candidate, 'vm' | 'room'>,
  leaving: readonly Other[],
  bladeNamed: (name: string) => BladeView | undefined,
): Other[] {
  const groups = hardGroups('apart', { vm, room })
  if (groups.length === 0) return []
  return leaving.filter(other => {
    const from = bladeNamed(other.blade)
    if (from === undefined || other.id === vm.id) return false
    return groups.some(
      ({ vms, across }) =>
        vms.includes(other.name) && apartDomain(from, across) === apartDomain(room.blade, across),
    )
  })
}

/**
 * Those that the VM would not be together with there; none where it joins one of them. A group that is on several
 * blades already is joined on any of them: to refuse all would keep a VM on the very blade it must leave.
 */
function leftBehind(group: GroupRule, asked: Asked): Whereabout[] {
  const there = others(group, asked).filter(each => !asked.company.has(each.id))
  return there.some(each => each.blade.name === asked.room.blade.name) ? [] : there
}

/** Share of its soft groups that would be kept there, 0 to 1; undefined for a VM in none. */
export function wishesKept(asked: Asked): number | undefined {
  const wishes = groupsOf(asked.room.rules, asked.vm.name).filter(group => !group.hard)
  if (wishes.length === 0) return undefined
  const kept = wishes.filter(group => {
    const against = group.kind === 'apart' ? metBy(group, asked) : leftBehind(group, asked)
    return against.length === 0
  })
  return kept.length / wishes.length
}

/** A group as the VMs stand now, hard or soft, that is not kept. */
export interface Unkept {
  readonly group: GroupRule
  /** Who is where: `mx1 and mx2 are both in chassis1`. */
  readonly text: string
  /** Sorted. */
  readonly blades: readonly string[]
}

/** Rules that are broken now: by hand, by a person's override, or by VMs that were there before the rule. */
export function unkeptGroups(snapshot: FleetSnapshot): Unkept[] {
  const blades = new Map(snapshot.blades.map(blade => [blade.name, blade]))
  const byName = Map.groupBy(snapshot.vms, vm => vm.name)
  return snapshot.rules.groups.flatMap(group => {
    const members = group.vms
      .flatMap(name => byName.get(name) ?? [])
      .flatMap(({ name, blade: at }) => {
        const blade = blades.get(at)
        return blade === undefined ? [] : [{ name, blade }]
      })
    const byDomain = Map.groupBy(members, ({ blade }) =>
      group.kind === 'apart' ? apartDomain(blade, group.across) : blade.name,
    )
    const wrong =
      group.kind === 'apart'
        ? [...byDomain.values()].filter(list => list.length > 1).flat()
        : byDomain.size > 1
          ? members
          : []
    if (wrong.length === 0) return []
    const text = wrong.map(({ name, blade }) => `${name} on ${placeIn(blade, undefined, group)}`).join(', ')
    return [{ group, text, blades: [...new Set(wrong.map(({ blade }) => blade.name))].sort() }]
  })
}

/** `blade02`, or `blade02 in the same chassis (chassis1)` as the target. */
function placeIn(blade: BladeView, target: BladeView | undefined, { kind, across }: GroupRule): string {
  if (kind === 'together' || across === 'blade' || blade.name === target?.name) return blade.name
  const domain = apartDomain(blade, across).replace(`${across} `, '')
  return target === undefined
    ? `${blade.name} (${across} ${domain})`
    : `${blade.name}, on the same ${across} (${domain})`
}

/** `blade01, blade02 or blade03` */
function orList(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}
