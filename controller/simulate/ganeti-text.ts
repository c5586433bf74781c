import type { Volume } from '../../shared/domain/fleet.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { NO_RULES } from '../placement/rules.ts'
import { DEFAULT_RATES } from '../placement/times.ts'
import {
  exclusions,
  type Instance,
  type Node,
  readGroups,
  readInstance,
  readNode,
  readRatio,
} from './ganeti-lines.ts'
import { requireGaneti, tellOf, toSections } from './ganeti-rows.ts'
import { Problems } from './problems.ts'
import { byName, quietBlade, quietVm, START } from './quiet-fleet.ts'

export interface GanetiOptions {
  /** VMs a blade may have. Default: no limit. */
  readonly maxVms?: number
}

/** The one pool that every node has here. */
const POOL = { name: 'disk', storage: 'thick' } as const

/**
 * A cluster in the text format of Ganeti's htools (`hbal -t`, `gnt-node list | ...`), as a fleet. Throws `bad-input`
 * with every problem by its line, or that it is no such text.
 */
export function readGaneti(text: string, options: GanetiOptions = {}): FleetSnapshot {
  const problems = new Problems()
  const sections = toSections(text, problems)
  requireGaneti(text, sections)
  const groups = readGroups(sections.groups, problems)
  const nodes = unique(
    sections.nodes.map(row => readNode(row, groups, problems)),
    'node',
    problems,
  )
  const instances = unique(
    sections.instances.map(row => readInstance(row, nodes, problems)),
    'instance',
    problems,
  )
  const perNode = Map.groupBy(instances.values(), instance => instance.node)
  for (const node of nodes.values()) checkRoom(node, perNode.get(node.name) ?? [], problems)
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

/** By name; the second of a name is a problem. */
function unique<T extends { readonly name: string; readonly line: number }>(
  things: readonly T[],
  kind: string,
  problems: Problems,
): Map<string, T> {
  const found = new Map<string, T>()
  for (const thing of things) {
    if (found.has(thing.name)) tellOf(kind, thing, `is there twice: names of ${kind}s must differ`, problems)
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
function checkRoom(node: Node, there: readonly Instance[], problems: Problems): void {
  if (!node.isKnown) return
  const wrong = (text: string) => tellOf('node', node, text, problems)
  const { memoryBytes, ownBytes, diskBytes } = node
  if (ownBytes > memoryBytes) wrong(`uses ${formatBytes(ownBytes)} of ${formatBytes(memoryBytes)} itself`)
  if (node.freeBytes > memoryBytes) {
    wrong(`has ${formatBytes(node.freeBytes)} of memory free, of ${formatBytes(memoryBytes)} in all`)
  }
  if (node.diskFreeBytes > diskBytes) {
    wrong(`has ${formatBytes(node.diskFreeBytes)} of disk free, of ${formatBytes(diskBytes)} in all`)
  }
  const used = inMemory(there)
  if (ownBytes <= memoryBytes && used > memoryBytes - ownBytes) {
    wrong(
      `has ${formatBytes(memoryBytes - ownBytes)} of memory beside its own, and its instances use ${formatBytes(used)}`,
    )
  }
  const disks = there.filter(each => each.isLocal).reduce((sum, instance) => sum + instance.diskBytes, 0)
  if (disks > diskBytes) {
    wrong(`has ${formatBytes(diskBytes)} of disk, and its instances have ${formatBytes(disks)} on it`)
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
  const networks = [node.group]
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
    const volumes = diskBytes === 0 ? [] : [volume]
    return quietVm({ name, blade: node.name, state, memoryBytes, vcpus, volumes, networks })
  })
}
