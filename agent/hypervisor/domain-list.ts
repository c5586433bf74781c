import type { Clock } from '../../shared/clock.ts'
import type { Vm, Volume } from '../../shared/domain/fleet.ts'
import { MINUTE_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { type DomainDisk, type DomainParts, parseDomain } from './domain-xml.ts'
import type { EventMark, EventStream } from './event-stream.ts'
import { type DomainStanding, standingObstacles } from './obstacles.ts'
import type { Virsh } from './virsh-command.ts'
import {
  type DomainState,
  isActive,
  type ListedDomain,
  parseDomainList,
  parseDomainStates,
  parseIdList,
  toVmState,
} from './virsh-text.ts'

/** Against an event that libvirt never sent: no definition is believed for longer. */
const DEFINITION_LIFE_MS = 10 * MINUTE_MS

interface Listed extends ListedDomain {
  readonly state: DomainState
  readonly standing: DomainStanding
}

interface CachedDefinition {
  readonly parts: DomainParts
  readonly active: boolean
  readonly readAt: number
  readonly mark: EventMark
}

/**
 * All VMs of the blade in one batch, and a second one only for definitions that may have changed: those libvirt told us
 * about, those that started or stopped (the live definition differs from the one on disk), and old ones.
 */
export function createDomainList(options: {
  readonly virsh: Virsh
  readonly events: EventStream
  readonly clock: Clock
  readonly nameFits: (name: string) => boolean
}): () => Promise<readonly Vm[]> {
  const { virsh, events, clock } = options
  const cache = new Map<string, CachedDefinition>()

  function fresh(domain: Listed): DomainParts | undefined {
    const cached = cache.get(domain.id)
    if (cached === undefined || cached.active !== isActive(domain.state)) return undefined
    if (cached.parts.name !== domain.name || clock.now() - cached.readAt > DEFINITION_LIFE_MS)
      return undefined
    return events.changedSince(cached.mark, domain.name) ? undefined : cached.parts
  }

  async function readDefinitions(domains: readonly Listed[]): Promise<ReadonlyMap<string, DomainParts>> {
    const read = new Map<string, DomainParts>()
    if (domains.length === 0) return read
    // Taken before the reading: an event in between makes what we read stale at once, as it must.
    const mark = events.mark()
    const readAt = clock.now()
    const { sections } = await virsh.batch(domains.map(({ id }) => ['dumpxml', id]))
    for (const [index, domain] of domains.entries()) {
      const text = sections[index] ?? ''
      // Undefined between the two batches: it is gone, and no error.
      if (text.trim() === '') continue
      const parts = parseDomain(text)
      read.set(domain.id, parts)
      if (mark !== undefined) cache.set(domain.id, { parts, active: isActive(domain.state), readAt, mark })
    }
    return read
  }

  return async () => {
    const domains = await listDomains(virsh, options.nameFits)
    const ids = new Set(domains.map(({ id }) => id))
    for (const id of cache.keys()) if (!ids.has(id)) cache.delete(id)
    const known = new Map(domains.map(domain => [domain.id, fresh(domain)]))
    const read = await readDefinitions(domains.filter(({ id }) => known.get(id) === undefined))
    return domains.flatMap(domain => {
      const parts = known.get(domain.id) ?? read.get(domain.id)
      return parts === undefined ? [] : [toVm(domain, parts)]
    })
  }
}

async function listDomains(virsh: Virsh, nameFits: (name: string) => boolean): Promise<readonly Listed[]> {
  const { sections } = await virsh.batch(
    [
      ['list', '--all', '--uuid', '--name'],
      ['list', '--all', '--transient', '--uuid'],
      ['list', '--all', '--with-snapshot', '--uuid'],
      ['list', '--all', '--with-managed-save', '--uuid'],
      // --nowait: a QEMU that does not answer must not hold up the report on the others.
      ['domstats', '--raw', '--nowait', '--state'],
    ],
    { strict: true },
  )
  const [domains = '', transient = '', withSnapshot = '', saved = '', states = ''] = sections
  const transientIds = parseIdList(transient)
  const snapshotIds = parseIdList(withSnapshot)
  const savedIds = parseIdList(saved)
  const stateByName = parseDomainStates(states)
  return parseDomainList(domains).flatMap(domain => {
    const state = stateByName.get(domain.name)
    // Undefined or renamed between two commands of the batch: the event for it is on its way.
    if (state === undefined) return []
    const standing = {
      persistent: !transientIds.has(domain.id),
      hasSnapshots: snapshotIds.has(domain.id),
      hasSavedMemory: savedIds.has(domain.id),
      nameFits: nameFits(domain.name),
    }
    return [{ ...domain, state, standing }]
  })
}

function toVm(domain: Listed, parts: DomainParts): Vm {
  if (parts.id !== domain.id) {
    throw new LifeboatError('bad-tool-output', `libvirt gave the definition of ${parts.id} for ${domain.id}`)
  }
  return {
    id: domain.id,
    name: domain.name,
    state: toVmState(domain.state),
    memoryBytes: parts.memoryBytes,
    vcpus: parts.vcpus,
    volumes: parts.disks.map(toUnknownVolume),
    networks: parts.networks,
    obstacles: [...standingObstacles(domain.name, domain.standing), ...parts.obstacles],
    epoch: 0,
    machine: parts.machine,
    cpuModel: parts.cpuModel,
    persistent: domain.standing.persistent,
    incoming: false,
  }
}

/**
 * A volume of which only the definition is known. Sizes are 0, the pool is '' and the storage kind a guess by the path:
 * the agent's inventory puts in what Volumes.inspect finds behind it.
 */
function toUnknownVolume(disk: DomainDisk): Volume {
  return {
    ...disk,
    storage: disk.path.startsWith('/dev/') ? 'thick' : 'file',
    pool: '',
    sizeBytes: 0,
    allocatedBytes: 0,
  }
}
