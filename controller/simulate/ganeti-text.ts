import type { VmState, Volume } from '../../shared/domain/fleet.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { type GroupRule, NO_RULES } from '../placement/rules.ts'
import { DEFAULT_RATES } from '../placement/times.ts'
import { clip, type Row, RowReader, toSections } from './ganeti-rows.ts'
import { Problems } from './problems.ts'
import { byName, quietBlade, quietVm, START } from './quiet-fleet.ts'

export interface GanetiOptions {
  /** VMs a blade may have. Default: no limit. */
  readonly maxVms?: number
}

/** The one pool that every node has here. */
const POOL = { name: 'disk', storage: 'thick' } as const

/** Ganeti's words, and what they mean for moving: what is down is copied, what is in doubt stays. */
const STATES: ReadonlyMap<string, VmState> = new Map([
  ['running', 'running'],
  ['ERROR_up', 'running'],
  ['ADMIN_down', 'stopped'],
  ['ADMIN_offline', 'stopped'],
  ['ERROR_down', 'stopped'],
  ['USER_down', 'stopped'],
  ['ERROR_wrongnode', 'unknown'],
  ['ERROR_nodedown', 'unknown'],
  ['ERROR_nodeoffline', 'unknown'],
])

interface Node {
  readonly row: RowReader
  readonly name: string
  readonly group: string
  readonly isOffline: boolean
  /** Fields with a question mark: Ganeti does not know. */
  readonly isKnown: boolean
  readonly memoryBytes: number
  readonly ownBytes: number
  readonly freeBytes: number
  readonly diskBytes: number
  readonly diskFreeBytes: number
  readonly cpus: number
}

interface Instance {
  readonly row: RowReader
  readonly name: string
  readonly node: string
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly vcpus: number
  readonly state: VmState
  readonly tags: readonly string[]
}

/**
 * A cluster in the text format of Ganeti's htools (`hbal -t`, `gnt-node list | ...`), as a fleet. Throws `bad-input`
 * with every problem by its line.
 */
export function readGaneti(text: string, options: GanetiOptions = {}): FleetSnapshot {
  const problems = new Problems()
  const sections = toSections(text, problems)
  const groups = readGroups(sections.groups, problems)
  const nodes = unique(
    sections.nodes.map(row => readNode(row, groups, problems)),
    'node',
  )
  const instances = unique(
    sections.instances.map(row => readInstance(row, nodes, problems)),
    'instance',
  )
  const perNode = Map.groupBy(instances.values(), instance => instance.node)
  for (const node of nodes.values()) checkRoom(node, perNode.get(node.name) ?? [])
  const vcpuRatio = readRatio(sections.policies, new Set(groups.values()), problems)
  problems.throwIfAny('the cluster')
  const maxVms = options.maxVms ?? Math.max(1, instances.size)
  const views = [...nodes.values()].map(node => {
    const there = perNode.get(node.name) ?? []
    return { blade: toBlade(node, there, maxVms), vms: toVms(node, there) }
  })
  return {
    generation: 1,
    takenAt: START,
    blades: views.map(view => view.blade).sort(byName),
    vms: views.flatMap(view => view.vms).sort(byName),
    rules: { ...NO_RULES, vcpuRatio, groups: exclusions(sections.tags, [...instances.values()]) },
    rates: DEFAULT_RATES,
  }
}

/** Names by uuid. */
function readGroups(rows: readonly Row[], problems: Problems): Map<string, string> {
  const groups = new Map<string, string>()
  const names = new Set<string>()
  for (const each of rows) {
    const row = new RowReader(each, 'group', 3, problems)
    const uuid = row.text(1)
    if (each.fields.length < 3) continue
    if (groups.has(uuid)) row.wrong(`has the uuid ${clip(uuid)}, which another group has`)
    if (names.has(row.name)) row.wrong('is there twice')
    if (!['preferred', 'last_resort', 'unallocable'].includes(row.text(2))) {
      row.wrong(`has the policy '${clip(row.text(2))}', not preferred, last_resort or unallocable`)
    }
    names.add(row.name)
    groups.set(uuid, row.name)
  }
  return groups
}

function readNode(each: Row, groups: ReadonlyMap<string, string>, problems: Problems): Node {
  const row = new RowReader(each, 'node', 9, problems)
  const isKnown = !each.fields.slice(1, 7).includes('?')
  const size = (at: number, name: string) => (isKnown ? row.bytes(at, name) : 0)
  const flag = row.text(7)
  if (each.fields.length > 7 && !['N', 'Y', 'M'].includes(flag)) {
    row.wrong(`says '${clip(flag)}' to being offline, not N, Y or M`)
  }
  const uuid = row.text(8)
  if (each.fields.length > 8 && !groups.has(uuid)) row.wrong(`is in a group that is not there: ${clip(uuid)}`)
  return {
    row,
    name: row.name,
    group: groups.get(uuid) ?? '',
    isOffline: flag === 'Y',
    isKnown,
    memoryBytes: size(1, 'its memory'),
    ownBytes: size(2, "the node's own memory"),
    freeBytes: size(3, 'its free memory'),
    diskBytes: size(4, 'its disk'),
    diskFreeBytes: size(5, 'its free disk'),
    cpus: isKnown ? row.number(6, 'its number of CPUs') : 0,
  }
}

function readInstance(each: Row, nodes: ReadonlyMap<string, Node>, problems: Problems): Instance {
  const row = new RowReader(each, 'instance', 9, problems)
  const status = row.text(4)
  const state = STATES.get(status)
  if (each.fields.length > 4 && state === undefined) row.wrong(`has the unknown state '${clip(status)}'`)
  const node = row.text(6)
  if (each.fields.length > 6 && !nodes.has(node)) row.wrong(`is on a node that is not there: '${clip(node)}'`)
  const second = row.text(7)
  if (second !== '' && !nodes.has(second)) row.wrong(`has an unknown secondary node: '${clip(second)}'`)
  if (second !== '' && second === node) row.wrong('has its primary node as secondary')
  return {
    row,
    name: row.name,
    node,
    memoryBytes: row.bytes(1, 'its memory'),
    diskBytes: row.bytes(2, 'its disk'),
    vcpus: row.number(3, 'its number of vCPUs'),
    state: state ?? 'unknown',
    tags: row.text(9).split(',').filter(Boolean),
  }
}

/** By name; the second of a name is a problem. */
function unique<T extends { readonly name: string; readonly row: RowReader }>(
  things: readonly T[],
  kind: string,
): Map<string, T> {
  const found = new Map<string, T>()
  for (const thing of things) {
    if (found.has(thing.name)) thing.row.wrong(`is there twice: names of ${kind}s must differ`)
    else found.set(thing.name, thing)
  }
  return found
}

function inMemory(instances: readonly Instance[]): number {
  return instances
    .filter(({ state }) => state !== 'stopped')
    .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
}

/** What cannot be, whatever the node says is free. */
function checkRoom(node: Node, there: readonly Instance[]): void {
  if (!node.isKnown) return
  const { row, memoryBytes, ownBytes, diskBytes } = node
  if (ownBytes > memoryBytes) row.wrong(`uses ${formatBytes(ownBytes)} of ${formatBytes(memoryBytes)} itself`)
  if (node.freeBytes > memoryBytes) {
    row.wrong(`has ${formatBytes(node.freeBytes)} of memory free, of ${formatBytes(memoryBytes)} in all`)
  }
  if (node.diskFreeBytes > diskBytes) {
    row.wrong(`has ${formatBytes(node.diskFreeBytes)} of disk free, of ${formatBytes(diskBytes)} in all`)
  }
  const used = inMemory(there)
  if (ownBytes <= memoryBytes && used > memoryBytes - ownBytes) {
    row.wrong(
      `has ${formatBytes(memoryBytes - ownBytes)} of memory beside its own, and its instances use ${formatBytes(used)}`,
    )
  }
  const disks = there.reduce((sum, instance) => sum + instance.diskBytes, 0)
  if (disks > diskBytes) {
    row.wrong(`has ${formatBytes(diskBytes)} of disk, and its instances have ${formatBytes(disks)}`)
  }
}

/**
 * An offline node is one that is drained: htools knows no other word for it in this format. Instances stay in their
 * group as they do with htools: the group is a network that only its nodes have.
 */
function toBlade(node: Node, there: readonly Instance[], maxVms: number): BladeView {
  const blade = quietBlade(node.name, maxVms)
  if (!node.isKnown) return { ...blade, liveness: 'silent' }
  return {
    ...blade,
    admin: node.isOffline ? 'cordoned' : 'in-service',
    capacity: {
      memoryBytes: node.memoryBytes,
      // What is neither free nor of an instance is not for others, whoever has it.
      reservedMemoryBytes: Math.max(node.ownBytes, node.memoryBytes - inMemory(there) - node.freeBytes),
      cpus: node.cpus,
      pools: [{ ...POOL, sizeBytes: node.diskBytes, freeBytes: node.diskFreeBytes, reclaimableBytes: 0 }],
      networks: [node.group],
      hypervisor: '',
      cpuModels: [],
    },
  }
}

/** What leaves gives back no more than the node has in use: disks that lie elsewhere (ext, rbd) give nothing. */
function toVms(node: Node, there: readonly Instance[]): VmView[] {
  let usedBytes = node.diskBytes - node.diskFreeBytes
  return there.map(({ name, memoryBytes, vcpus, state, diskBytes }) => {
    const allocatedBytes = Math.min(diskBytes, usedBytes)
    usedBytes -= allocatedBytes
    const volume: Volume = {
      target: 'vda',
      path: `/dev/${POOL.name}/${name}`,
      storage: POOL.storage,
      pool: POOL.name,
      sizeBytes: diskBytes,
      allocatedBytes,
      format: 'raw',
    }
    return {
      ...quietVm(name, node.name),
      state,
      memoryBytes,
      vcpus,
      volumes: diskBytes === 0 ? [] : [volume],
      networks: [node.group],
    }
  })
}

/** `htools:iextags:service` among the cluster's tags: instances with the same `service:...` tag are kept apart. */
function exclusions(rows: readonly Row[], instances: readonly Instance[]): GroupRule[] {
  const prefixes = rows
    .map(row => row.fields.join('|'))
    .filter(tag => tag.startsWith('htools:iextags:'))
    .map(tag => tag.slice('htools:iextags:'.length))
  const byTag = new Map<string, string[]>()
  for (const { name, tags } of instances) {
    for (const tag of new Set(tags)) {
      if (!prefixes.some(prefix => tag.startsWith(`${prefix}:`))) continue
      const list = byTag.get(tag)
      if (list === undefined) byTag.set(tag, [name])
      else list.push(name)
    }
  }
  return [...byTag]
    .filter(([, vms]) => vms.length > 1)
    .map(([name, vms]) => ({ name, kind: 'apart', vms, across: 'blade', hard: true }))
}

/** The tightest vCPU ratio of the policies that apply to a group; 0, not checked, without one. */
function readRatio(rows: readonly Row[], groups: ReadonlySet<string>, problems: Problems): number {
  const ratios = new Map<string, number>()
  for (const { line, fields } of rows) {
    const [owner = ''] = fields
    const ratio = fields.at(-2) ?? ''
    // Older versions have the least and the largest sizes in a field each.
    if (fields.length < 6) problems.add(`line ${line}`, `policy has ${fields.length} fields, 6 are wanted`)
    else if (!/^\d{1,9}(\.\d{1,9})?$/.test(ratio) || Number(ratio) <= 0) {
      problems.add(`line ${line}`, `policy has the vCPU ratio '${clip(ratio)}', which is not above zero`)
    } else if (owner !== '' && !groups.has(owner)) {
      problems.add(`line ${line}`, `policy of a group that is not there: '${clip(owner)}'`)
    }
    ratios.set(owner, Number(ratio))
  }
  const applied = [...groups].flatMap(group => ratios.get(group) ?? ratios.get('') ?? [])
  return applied.length === 0 ? 0 : Math.min(...applied)
}
