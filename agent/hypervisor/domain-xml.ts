import type { VolumeFormat } from '../../shared/domain/fleet.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import { KIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { definitionObstacles } from './obstacles.ts'
import { wholeNumber } from './virsh-text.ts'
import { attribute, children, find, parseXmlRoot, textOf, type XmlElement } from './xml.ts'

/** A disk as the definition names it; what is behind the path only Volumes can tell. */
export interface DomainDisk {
  readonly target: string
  readonly path: string
  readonly format: VolumeFormat
}

/** What a definition says of a VM. Obstacles: those that can be seen in the definition. */
export interface DomainParts {
  readonly id: string
  readonly name: string
  readonly memoryBytes: number
  readonly vcpus: number
  readonly machine: string
  readonly cpuModel: string
  readonly disks: readonly DomainDisk[]
  readonly networks: readonly string[]
  readonly obstacles: readonly Reason[]
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  k: KIB,
  KiB: KIB,
  M: KIB ** 2,
  MiB: KIB ** 2,
  G: KIB ** 3,
  GiB: KIB ** 3,
  T: KIB ** 4,
  TiB: KIB ** 4,
}

/** The answer of `virsh dumpxml`. Throws `bad-tool-output`. */
export function parseDomain(text: string): DomainParts {
  const domain = parseXmlRoot(text, 'domain')
  const name = textOf(find(domain, 'name'))
  const id = textOf(find(domain, 'uuid')).toLowerCase()
  if (name === '' || id === '') {
    throw new LifeboatError('bad-tool-output', 'libvirt printed a definition without name or id')
  }
  return {
    id,
    name,
    memoryBytes: memoryBytes(find(domain, 'memory'), name),
    vcpus: vcpus(find(domain, 'vcpu'), name),
    machine: attribute(find(domain, 'os', 'type'), 'machine') ?? '',
    cpuModel: cpuModel(find(domain, 'cpu')),
    disks: children(find(domain, 'devices'), 'disk').flatMap(toDisk),
    networks: [...new Set(children(find(domain, 'devices'), 'interface').flatMap(toNetwork))],
    obstacles: definitionObstacles(domain),
  }
}

/** The answer of `virsh domcapabilities`: modes and models a VM may ask for, as `DomainParts.cpuModel` names them. */
export function parseCpuModels(text: string): readonly string[] {
  const models: string[] = []
  for (const mode of children(find(parseXmlRoot(text, 'domainCapabilities'), 'cpu'), 'mode')) {
    if (attribute(mode, 'supported') !== 'yes') continue
    const name = attribute(mode, 'name') ?? ''
    if (name !== 'custom') models.push(name)
    // 'unknown' (libvirt could not ask QEMU) is not 'no': only a clear no may keep a VM away.
    else
      models.push(
        ...children(mode, 'model')
          .filter(model => attribute(model, 'usable') !== 'no')
          .map(textOf),
      )
  }
  return models
}

/** The most it may take (`<memory>`), not what the balloon leaves it: that is what the target must hold. */
function memoryBytes(element: XmlElement | undefined, name: string): number {
  const amount = wholeNumber(textOf(element))
  const unit = UNIT_BYTES[attribute(element, 'unit') ?? 'KiB']
  if (amount === undefined || unit === undefined) {
    throw new LifeboatError('bad-tool-output', `the definition of ${name} has no readable memory size`)
  }
  return amount * unit
}

function vcpus(element: XmlElement | undefined, name: string): number {
  const count = wholeNumber(attribute(element, 'current') ?? textOf(element))
  if (count === undefined) {
    throw new LifeboatError('bad-tool-output', `the definition of ${name} has no readable number of CPUs`)
  }
  return count
}

/** The model's name; the mode for those that follow the blade's own CPU; '' when nothing is asked for. */
function cpuModel(element: XmlElement | undefined): string {
  const mode = attribute(element, 'mode')
  if (mode !== undefined && mode !== 'custom') return mode
  return textOf(find(element, 'model'))
}

/** Empty for what is no disk of ours (drives) and for what `definitionObstacles` has already refused. */
function toDisk(disk: XmlElement): readonly DomainDisk[] {
  const device = attribute(disk, 'device') ?? 'disk'
  if (device === 'cdrom' || device === 'floppy') return []
  const source = find(disk, 'source')
  const path = attribute(source, 'file') ?? attribute(source, 'dev')
  if (path === undefined) return []
  const format = attribute(find(disk, 'driver'), 'type') === 'qcow2' ? 'qcow2' : 'raw'
  return [{ target: attribute(find(disk, 'target'), 'dev') ?? '', path, format }]
}

/** What must exist at the target under the same name. User-mode networking needs nothing there. */
function toNetwork(networkInterface: XmlElement): readonly string[] {
  const source = find(networkInterface, 'source')
  switch (attribute(networkInterface, 'type')) {
    case 'bridge':
      return named('bridge', attribute(source, 'bridge'))
    case 'network':
      return named('network', attribute(source, 'network'))
    case 'direct':
      return named('direct', attribute(source, 'dev'))
    default:
      return []
  }
}

function named(kind: string, name: string | undefined): readonly string[] {
  return name === undefined ? [] : [`${kind}:${name}`]
}
