import type { Fact } from '../../shared/domain/health.ts'
import type { BladeView } from '../fleet/snapshot.ts'

/** What is broken in the simulated fleet now. */
export interface Damage {
  /** Blades whose mirror has lost a disk; true: the one that is left has errors. */
  readonly mirrors: ReadonlyMap<string, boolean>
  readonly feeds: ReadonlySet<string>
  readonly switches: ReadonlySet<string>
}

export const NO_DAMAGE: Damage = { mirrors: new Map(), feeds: new Set(), switches: new Set() }

const BOND_MBPS = 1000

/**
 * What the probes of such a blade would read: a mirror of two disks, a link for each of its switches, and the power
 * supplies of its chassis, one on each feed.
 */
export function factsOf(
  blade: BladeView,
  chassisFeeds: readonly string[],
  damage: Damage,
  at: number,
): Fact[] {
  const facts: Fact[] = [mirrorFact(damage.mirrors.get(blade.name), at)]
  if (blade.switches.length > 1) facts.push(bondFact(blade.switches, damage.switches, at))
  if (chassisFeeds.length > 0) {
    const supplies = chassisFeeds.map(feed => ({
      name: `PS on ${feed}`,
      state: damage.feeds.has(feed) ? ('ac-lost' as const) : ('ok' as const),
    }))
    facts.push({ kind: 'power', observedAt: at, supplies })
  }
  return facts
}

function mirrorFact(lost: boolean | undefined, observedAt: number): Fact {
  const left = { device: 'disk0', state: 'in-sync' as const, errors: lost === true ? 7 : 0 }
  const other = {
    device: 'disk1',
    state: lost === undefined ? ('in-sync' as const) : ('faulty' as const),
    errors: 0,
  }
  return {
    kind: 'mirror',
    observedAt,
    name: 'md0',
    expectedMembers: 2,
    members: [left, other],
    activity: 'idle',
    progressPercent: 0,
  }
}

function bondFact(switches: readonly string[], dead: ReadonlySet<string>, observedAt: number): Fact {
  const members = switches.map((name, index) => ({
    nic: `eth${index} to ${name}`,
    link: dead.has(name) ? ('down' as const) : ('up' as const),
    speedMbps: dead.has(name) ? 0 : BOND_MBPS,
    partner: 'none' as const,
  }))
  const activeMember = members.find(member => member.link === 'up')?.nic ?? ''
  return { kind: 'bond', observedAt, name: 'bond0', mode: 'active-backup', members, activeMember }
}

/** Feeds of a blade's chassis: those of all its blades. A blade without a chassis has its own. */
export function feedsByChassis(blades: readonly BladeView[]): (blade: BladeView) => readonly string[] {
  const feeds = new Map<string, Set<string>>()
  for (const blade of blades) {
    if (blade.chassis === '') continue
    const known = feeds.get(blade.chassis) ?? new Set()
    for (const feed of blade.feeds) known.add(feed)
    feeds.set(blade.chassis, known)
  }
  const sorted = new Map([...feeds].map(([chassis, names]) => [chassis, [...names].sort()]))
  return blade => sorted.get(blade.chassis) ?? [...blade.feeds].sort()
}
