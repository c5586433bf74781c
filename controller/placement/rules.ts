import type { StoragePool } from '../../shared/domain/fleet.ts'
import type { BladeView } from '../fleet/snapshot.ts'

/**
 * What the administrator wants of placement beside what is physically possible. Plain data, by the names people use:
 * a rule may name a VM or a blade that is not there (yet), and then says nothing.
 */
export interface PlacementRules {
  /** vCPUs of VMs in memory for each CPU of a blade; 0: not checked. */
  readonly vcpuRatio: number
  /** Share of each thick volume group, 0 to 1, that arrivals leave free for the snapshots of backups. */
  readonly snapshotReserve: number
  readonly groups: readonly GroupRule[]
  readonly vms: readonly VmRule[]
}

export const GROUP_KINDS = {
  apart: 'no two of them in one fault domain',
  together: 'all of them on one blade',
} as const
export type GroupKind = keyof typeof GROUP_KINDS

export const FAULT_DOMAINS = {
  blade: 'the machine itself',
  chassis: 'the enclosure it sits in',
  feed: 'the one power circuit it hangs on',
  switch: 'the one switch it hangs on',
} as const
export type FaultDomain = keyof typeof FAULT_DOMAINS

export interface GroupRule {
  readonly name: string
  readonly kind: GroupKind
  /** Names of VMs. */
  readonly vms: readonly string[]
  /** What 'apart' means; 'together' is always one blade. */
  readonly across: FaultDomain
  /** A hard one refuses, a soft one only makes a blade less good. */
  readonly hard: boolean
}

export interface VmRule {
  readonly vm: string
  /** If not all can be placed, higher ones are first. @default 0 */
  readonly priority: number
  /** Only these; empty: any. */
  readonly blades: readonly string[]
  readonly evacuate: Readonly<Partial<Record<EvacuationCause, EvacuationPolicy>>>
}

/** What becomes of a VM when its blade is emptied. */
export const EVACUATION_POLICIES = {
  live: 'it moves: running as it runs, off as it is off (the default)',
  stay: 'it stays where it is',
  ask: 'it waits until a person evacuates the blade',
} as const
export type EvacuationPolicy = keyof typeof EVACUATION_POLICIES

/** Why a blade is emptied: the codes of the cases that lead to it, or a person. */
export const EVACUATION_CAUSES = {
  any: 'each of the others that has no word of its own',
  asked: 'a person typed `lifeboat evacuate`',
  'mirror-degraded': 'its mirror has one copy left',
  'mirror-survivor-failing': 'its mirror has one copy left, and that one has errors',
} as const
export type EvacuationCause = keyof typeof EVACUATION_CAUSES
/** One evacuation has one cause. */
export type AskedCause = Exclude<EvacuationCause, 'any'>

/** Nothing is asked beside what is possible. */
export const NO_RULES: PlacementRules = { vcpuRatio: 0, snapshotReserve: 0, groups: [], vms: [] }

const NO_VM_RULE: Omit<VmRule, 'vm'> = { priority: 0, blades: [], evacuate: {} }

/** What is wanted of one VM; the defaults where nothing is. */
export function ruleOf(rules: PlacementRules, vmName: string): VmRule {
  return indexOf(rules).vms.get(vmName) ?? { vm: vmName, ...NO_VM_RULE }
}

/** The groups a VM belongs to, in the order of the configuration. */
export function groupsOf(rules: PlacementRules, vmName: string): readonly GroupRule[] {
  return indexOf(rules).groups.get(vmName) ?? []
}

/**
 * The fault domains of that kind whose loss takes the blade. A blade on two feeds or two switches is in no domain of
 * that kind, since it lives on with either; so is one of which nothing is known. Two blades fail together when they
 * share one.
 */
export function domainsOf(
  blade: Pick<BladeView, 'name' | 'chassis' | 'feeds' | 'switches'>,
  across: FaultDomain,
): readonly string[] {
  switch (across) {
    case 'blade':
      return [blade.name]
    case 'chassis':
      return blade.chassis === '' ? [] : [blade.chassis]
    case 'feed':
      return only(blade.feeds)
    case 'switch':
      return only(blade.switches)
  }
}

function only(names: readonly string[]): readonly string[] {
  const different = [...new Set(names)]
  return different.length === 1 ? different : []
}

/**
 * What a blade counts as for VMs that must be apart across such domains. Two blades with the same answer are not apart;
 * one that is in no domain of that kind stands for itself, since two VMs on it are not apart either.
 */
export function apartDomain(blade: Parameters<typeof domainsOf>[0], across: FaultDomain): string {
  const [domain] = domainsOf(blade, across)
  return domain === undefined ? `blade ${blade.name}` : `${across} ${domain}`
}

type PoolSize = Pick<StoragePool, 'name' | 'storage' | 'sizeBytes'>

/**
 * Bytes of a pool that arrivals leave free, `pools` being all of its blade. Of a volume group counts what is not given to
 * thin pools, for a thin snapshot takes its room from its own pool.
 */
export function snapshotReserveBytes(
  rules: PlacementRules,
  pool: PoolSize,
  pools: readonly PoolSize[],
): number {
  if (pool.storage !== 'thick' || rules.snapshotReserve === 0) return 0
  const thin = pools
    .filter(each => each.storage === 'thin' && each.name.startsWith(`${pool.name}/`))
    .reduce((sum, each) => sum + each.sizeBytes, 0)
  return Math.ceil(Math.max(0, pool.sizeBytes - thin) * rules.snapshotReserve)
}

/** For `asked`, `ask` is answered already: the person asks. */
export function evacuationPolicy(rules: PlacementRules, vmName: string, cause: AskedCause): EvacuationPolicy {
  const { evacuate } = ruleOf(rules, vmName)
  const policy = evacuate[cause] ?? evacuate.any ?? 'live'
  return policy === 'ask' && cause === 'asked' ? 'live' : policy
}

interface Index {
  readonly vms: ReadonlyMap<string, VmRule>
  readonly groups: ReadonlyMap<string, readonly GroupRule[]>
}

/** Rules are made once and looked up for each VM and blade: without it, thousands of VMs would each read all of them. */
const INDEXES = new WeakMap<PlacementRules, Index>()

function indexOf(rules: PlacementRules): Index {
  const known = INDEXES.get(rules)
  if (known !== undefined) return known
  const groups = new Map<string, GroupRule[]>()
  for (const group of rules.groups) {
    for (const vm of new Set(group.vms)) {
      const list = groups.get(vm)
      if (list === undefined) groups.set(vm, [group])
      else list.push(group)
    }
  }
  const index = { vms: new Map(rules.vms.map(rule => [rule.vm, rule])), groups }
  INDEXES.set(rules, index)
  return index
}
