import { parseVmName } from '../../shared/domain/ids.ts'
import type { Reason, ReasonCode } from '../../shared/domain/reason.ts'
import { attribute, children, find, textOf, type XmlElement } from './xml.ts'

/** What libvirt knows of a VM beside its definition. */
export interface DomainStanding {
  readonly persistent: boolean
  readonly hasSnapshots: boolean
  /** Its memory lies in a file of this blade (`virsh managedsave`). */
  readonly hasSavedMemory: boolean
  /** Its name is short enough for the sockets of a migration. */
  readonly nameFits: boolean
}

/** Why a VM cannot move, from what libvirt knows beside the definition. Empty: nothing in the way. */
export function standingObstacles(name: string, standing: DomainStanding): readonly Reason[] {
  const reasons: Reason[] = []
  if (!isSafeName(name)) {
    reasons.push(reason('vm-name-unsafe', `the name '${name}' cannot stand in a file name: virsh domrename`))
  } else if (!standing.nameFits) {
    reasons.push(
      reason('vm-name-unsafe', `the name '${name}' is too long for the name of a socket: virsh domrename`),
    )
  }
  if (!standing.persistent) {
    reasons.push(
      reason('vm-transient', 'it has no persistent definition: virsh dumpxml, then virsh define, makes one'),
    )
  }
  if (standing.hasSnapshots) {
    reasons.push(reason('vm-has-snapshots', 'it has libvirt snapshots: virsh snapshot-list shows them'))
  }
  if (standing.hasSavedMemory) {
    // Started elsewhere it would boot from a disk that its saved memory still believes to be mounted.
    reasons.push(
      reason(
        'vm-not-migratable',
        'its memory is saved on this blade: virsh start, or virsh managedsave-remove',
      ),
    )
  }
  return reasons
}

/** Why a VM cannot move, from its definition (`<domain>`). One reason for each thing in the way. */
export function definitionObstacles(domain: XmlElement): readonly Reason[] {
  const devices = find(domain, 'devices')
  return [
    ...children(devices, 'disk').flatMap(diskObstacles),
    ...children(devices, 'hostdev').map(hostDevice),
    ...hostBoundDevices(devices),
    ...children(devices, 'interface').flatMap(interfaceObstacles),
    ...children(domain, 'launchSecurity').map(element =>
      reason(
        'vm-not-migratable',
        `its memory is encrypted (${attribute(element, 'type') ?? 'launchSecurity'})`,
      ),
    ),
  ]
}

function diskObstacles(disk: XmlElement): readonly Reason[] {
  const device = attribute(disk, 'device') ?? 'disk'
  const target = attribute(find(disk, 'target'), 'dev') ?? '?'
  const source = find(disk, 'source')
  const origin = sourceText(source)
  if (device === 'cdrom' || device === 'floppy') {
    // An empty drive moves: there is nothing behind it.
    if (origin === undefined) return []
    return [
      reason('host-cdrom', `${device} ${target} reads ${origin} of this blade: virsh change-media --eject`),
    ]
  }
  const reasons: Reason[] = []
  const type = attribute(disk, 'type') ?? '?'
  const format = attribute(find(disk, 'driver'), 'type') ?? 'raw'
  if (type !== 'file' && type !== 'block') {
    reasons.push(reason('disk-not-local', `disk ${target} is of type ${type}${origin ? ` (${origin})` : ''}`))
  } else if (attribute(source, 'file') === undefined && attribute(source, 'dev') === undefined) {
    reasons.push(reason('disk-not-local', `disk ${target} has no path`))
  } else if (format !== 'raw' && format !== 'qcow2') {
    reasons.push(reason('disk-not-local', `disk ${target} has the format ${format}`))
  }
  if (device === 'lun') {
    reasons.push(
      reason('passed-through-device', `disk ${target} passes SCSI commands to ${origin ?? 'a device'}`),
    )
  }
  if (find(disk, 'shareable')) reasons.push(reason('disk-shared', `disk ${target} is marked shareable`))
  // libvirt writes an empty <backingStore/> where a chain ends; one with a source is an overlay's base.
  if (find(disk, 'backingStore', 'source')) {
    reasons.push(
      reason(
        'disk-has-backing-file',
        `disk ${target} is an overlay of ${sourceText(find(disk, 'backingStore', 'source')) ?? 'another image'}`,
      ),
    )
  }
  reasons.push(...copyObstacles(disk, target))
  return reasons
}

/** What libvirt's storage copy leaves out or refuses, although the path itself is fine. */
function copyObstacles(disk: XmlElement, target: string): readonly Reason[] {
  const reasons: Reason[] = []
  if (find(disk, 'readonly')) {
    // Left out in silence by --copy-storage-all: at the target the VM would find an empty disk.
    reasons.push(reason('vm-not-migratable', `disk ${target} is read-only, which libvirt does not copy`))
  }
  if (find(disk, 'transient')) {
    reasons.push(reason('vm-not-migratable', `disk ${target} is transient, which libvirt does not copy`))
  }
  if (find(disk, 'mirror')) {
    reasons.push(reason('vm-busy', `disk ${target} is being copied by a block job: virsh blockjob`))
  }
  return reasons
}

function hostDevice(device: XmlElement): Reason {
  const source = find(device, 'source')
  // PCI names an address, USB a vendor and a product, SCSI an adapter, a mediated device only a UUID.
  const detail = [
    ...attributeTexts(source),
    ...['address', 'adapter'].flatMap(name => attributeTexts(find(source, name))),
    ...['vendor', 'product'].flatMap(name => {
      const id = attribute(find(source, name), 'id')
      return id === undefined ? [] : [`${name} ${id}`]
    }),
  ].join(' ')
  const type = attribute(device, 'type') ?? 'host'
  return reason('passed-through-device', `a ${type} device is passed through${detail ? ` (${detail})` : ''}`)
}

function attributeTexts(element: XmlElement | undefined): readonly string[] {
  return Object.entries(element ?? {})
    .filter(([key, value]) => key.startsWith('@') && typeof value === 'string')
    .map(([key, value]) => `${key.slice(1)} ${value}`)
}

function hostBoundDevices(devices: XmlElement | undefined): readonly Reason[] {
  const bound = (text: string) => reason('passed-through-device', text)
  return [
    ...children(devices, 'filesystem').map(element =>
      bound(`the directory ${sourceText(find(element, 'source')) ?? '?'} is passed through`),
    ),
    ...portDevices(devices).map(path => bound(`the device ${path} is passed through as a port`)),
    ...children(devices, 'tpm')
      .filter(element => attribute(find(element, 'backend'), 'type') === 'passthrough')
      .map(() => bound('the TPM of the blade is passed through')),
    ...children(devices, 'input')
      .filter(element => ['passthrough', 'evdev'].includes(attribute(element, 'type') ?? ''))
      .map(() => bound('an input device of the blade is passed through')),
    ...children(devices, 'smartcard')
      .filter(element => attribute(element, 'mode') !== 'passthrough')
      .map(() => bound('a smartcard of the blade is passed through')),
    ...children(devices, 'shmem').map(element =>
      bound(`it shares memory '${attribute(element, 'name') ?? '?'}' with another process`),
    ),
    ...children(devices, 'memory')
      .filter(element => find(element, 'source', 'path') !== undefined)
      .map(element => bound(`its memory device is the file ${textOf(find(element, 'source', 'path'))}`)),
  ]
}

/** libvirt shows the first serial port a second time, as console: one device is one obstacle. */
function portDevices(devices: XmlElement | undefined): readonly string[] {
  const paths = ['serial', 'parallel', 'console', 'channel'].flatMap(kind =>
    children(devices, kind)
      .filter(element => attribute(element, 'type') === 'dev')
      .map(element => attribute(find(element, 'source'), 'path') ?? '?'),
  )
  return [...new Set(paths)]
}

/** Interfaces that are bound to hardware or to a process of this blade. */
function interfaceObstacles(networkInterface: XmlElement): readonly Reason[] {
  const type = attribute(networkInterface, 'type') ?? '?'
  if (!['hostdev', 'vdpa', 'vhostuser'].includes(type)) return []
  const mac = attribute(find(networkInterface, 'mac'), 'address')
  return [reason('passed-through-device', `network interface ${mac ?? '?'} is of type ${type}`)]
}

/** What a source names, by whichever attribute its type uses. */
function sourceText(source: XmlElement | undefined): string | undefined {
  const direct = ['file', 'dev', 'dir', 'path', 'name', 'volume', 'socket']
    .map(name => attribute(source, name))
    .find(value => value !== undefined)
  if (direct !== undefined || source === undefined) return direct
  // NVMe and others put their address into a child; that there is a source is what counts.
  return Object.keys(source).some(key => key !== '#text' && key !== '@index') ? 'a device' : undefined
}

function isSafeName(name: string): boolean {
  try {
    parseVmName(name)
    return true
  } catch {
    return false
  }
}

function reason(code: ReasonCode, text: string): Reason {
  return { code, text }
}
