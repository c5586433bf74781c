import type { VmState } from '../../shared/domain/fleet.ts'
import type { GroupRule } from '../placement/rules.ts'
import { LEAST_FIELDS, type Row, RowReader } from './ganeti-rows.ts'
import { clip, type Problems } from './problems.ts'

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

/** Whether the disks of such an instance lie on its node. */
const TEMPLATES: ReadonlyMap<string, boolean> = new Map([
  ['plain', true],
  ['drbd', true],
  ['file', true],
  ['sharedfile', false],
  ['gluster', false],
  ['blockdev', false],
  ['rbd', false],
  ['ext', false],
  ['diskless', false],
])

/** A line of nodes, in bytes. */
export interface Node {
  readonly line: number
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

const NO_TAGS: readonly string[] = []

/** A line of instances, in bytes. */
export interface Instance {
  readonly line: number
  readonly name: string
  readonly node: string
  readonly memoryBytes: number
  readonly diskBytes: number
  /** Its disks lie on its node. */
  readonly isLocal: boolean
  readonly vcpus: number
  readonly state: VmState
  readonly tags: readonly string[]
}

/** Names by uuid. */
export function readGroups(rows: readonly Row[], problems: Problems): Map<string, string> {
  const groups = new Map<string, string>()
  const names = new Set<string>()
  for (const each of rows) {
    const row = new RowReader(each, 'group', LEAST_FIELDS.group, problems)
    const uuid = row.text(1)
    if (row.fields.length < 3) continue
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

export function readNode(each: Row, groups: ReadonlyMap<string, string>, problems: Problems): Node {
  const row = new RowReader(each, 'node', LEAST_FIELDS.node, problems)
  const isKnown = row.fields.every((field, at) => field !== '?' || at < 1 || at > 6)
  const size = (at: number, name: string) => (isKnown ? row.bytes(at, name) : 0)
  const flag = row.text(7)
  if (row.fields.length > 7 && !['N', 'Y', 'M'].includes(flag)) {
    row.wrong(`says '${clip(flag)}' to being offline, not N, Y or M`)
  }
  const uuid = row.text(8)
  if (row.fields.length > 8 && !groups.has(uuid)) row.wrong(`is in a group that is not there: ${clip(uuid)}`)
  return {
    line: each.line,
    name: row.name,
    group: groups.get(uuid) ?? '',
    isOffline: flag === 'Y',
    isKnown,
    memoryBytes: size(1, 'memory'),
    ownBytes: size(2, 'own memory'),
    freeBytes: size(3, 'free memory'),
    diskBytes: size(4, 'disk'),
    diskFreeBytes: size(5, 'free disk'),
    cpus: isKnown ? row.number(6, 'number of CPUs') : 0,
  }
}

export function readInstance(each: Row, nodes: ReadonlyMap<string, Node>, problems: Problems): Instance {
  const row = new RowReader(each, 'instance', 9, problems)
  const status = row.text(4)
  const state = STATES.get(status)
  if (row.fields.length > 4 && state === undefined) row.wrong(`has the unknown state '${clip(status)}'`)
  const node = row.text(6)
  if (row.fields.length > 6 && !nodes.has(node)) row.wrong(`is on a node that is not there: '${clip(node)}'`)
  const second = row.text(7)
  if (second !== '' && !nodes.has(second)) row.wrong(`has an unknown secondary node: '${clip(second)}'`)
  if (second !== '' && second === node) row.wrong('has its primary node as secondary')
  const template = row.text(8)
  const isLocal = TEMPLATES.get(template)
  if (row.fields.length > 8 && isLocal === undefined) {
    row.wrong(`has the unknown disk template '${clip(template)}'`)
  }
  return {
    line: each.line,
    name: row.name,
    node,
    isLocal: isLocal ?? false,
    memoryBytes: row.bytes(1, 'memory'),
    diskBytes: row.bytes(2, 'disk'),
    vcpus: row.number(3, 'number of vCPUs'),
    state: state ?? 'unknown',
    tags: row.text(9) === '' ? NO_TAGS : row.text(9).split(',').filter(Boolean),
  }
}

/** `htools:iextags:service` among the cluster's tags: instances with the same `service:...` tag are kept apart. */
export function exclusions(rows: readonly Row[], instances: readonly Instance[]): GroupRule[] {
  const prefixes = rows
    .map(row => row.text)
    .filter(tag => tag.startsWith('htools:iextags:'))
    .map(tag => tag.slice('htools:iextags:'.length))
  if (prefixes.length === 0) return []
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
export function readRatio(rows: readonly Row[], groups: ReadonlySet<string>, problems: Problems): number {
  const ratios = new Map<string, number>()
  for (const { line, text } of rows) {
    const fields = text.split('|')
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
