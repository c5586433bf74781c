import { XMLBuilder, XMLParser } from 'fast-xml-parser'
import { LifeboatError } from '../../shared/errors.ts'
import type { DefinitionChanges } from './hypervisor.ts'
import { isolate } from './isolate.ts'
import { stepAside } from './step-aside.ts'
import {
  attributes,
  contentOf,
  dropAttributes,
  dropChildren,
  elements,
  escapeXml,
  type Node,
  nameOf,
  setAttribute,
  setText,
  textOf,
  under,
} from './xml-tree.ts'

const OPTIONS = {
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  // What is not understood goes through as it came, entities too.
  processEntities: false,
  commentPropName: '#comment',
  cdataPropName: '#cdata',
} as const
const parser = new XMLParser(OPTIONS)
const builder = new XMLBuilder({
  ...OPTIONS,
  format: true,
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
})

/** Of a disk's source: what belongs to the bytes, wherever they lie. */
const OF_THE_BYTES = ['encryption', 'slices']
/** Where libvirt itself puts the sockets of channels, under the name of the VM. */
const OWN_CHANNEL_PATH = /^\/(var\/lib|run)\/libvirt\/qemu\/channel\//

/**
 * A libvirt definition for the VM that is restored from a backup. Pure. `consolePath`: where an isolated copy prints to.
 * Everything that is not named in `changes` stays as it was written, whatever it is; only the identity of the machine
 * inside (generation id) is always new, because a guest that is set back in time must be told.
 * Throws `bad-input` for text that is no definition, and when a disk of it is not given a new place.
 */
export function adaptDomainXml(text: string, changes: DefinitionChanges, consolePath: string): string {
  const document = parse(text)
  const domain = contentOf(document.find(node => 'domain' in node))
  const oldName = textOf(elements(domain, 'name')[0])
  setIdentity(domain, changes)
  const devices = under(domain, 'devices')
  for (const disk of elements(devices, 'disk')) adaptDisk(disk, changes)
  for (const channel of elements(devices, 'channel')) dropOwnPath(channel)
  if (changes.newIdentity) stepAside(domain, devices, oldName, escapeXml(changes.name))
  if (changes.isolated) isolate(domain, devices, consolePath)
  return `${(builder.build(document) as string).trim()}\n`
}

function setIdentity(domain: Node[], { id, name }: DefinitionChanges): void {
  setText(domain, 'name', escapeXml(name))
  setText(domain, 'uuid', id)
  // libvirt fills in a new one.
  for (const node of elements(domain, 'genid')) node.genid = []
  for (const entry of elements(under(domain, 'sysinfo', 'system'), 'entry')) {
    if (attributes(entry).name === 'uuid') entry.entry = [{ '#text': id }]
  }
}

function parse(text: string): Node[] {
  try {
    const document = parser.parse(text, true) as Node[]
    if (document.some(node => 'domain' in node)) return document
  } catch (error) {
    throw new LifeboatError('bad-input', 'the definition of the restore point is broken XML', {
      cause: error,
    })
  }
  throw new LifeboatError('bad-input', 'the definition of the restore point is no libvirt domain')
}

function adaptDisk(disk: Node, changes: DefinitionChanges): void {
  const content = contentOf(disk)
  const device = attributes(disk).device ?? 'disk'
  // What libvirt knew of the original's images, and of a copy of them that was under way.
  dropChildren(disk, ['backingStore', 'mirror'])
  if (device === 'cdrom' || device === 'floppy') {
    adaptDrive(disk, changes)
    return
  }
  const target = attributes(elements(content, 'target')[0]).dev ?? ''
  const place = changes.disks.get(target)
  if (place === undefined) {
    throw new LifeboatError(
      'bad-input',
      `the definition has a disk ${target || '?'} for which there is no volume`,
    )
  }
  const isDevice = place.path.startsWith('/dev/')
  setAttribute(disk, 'type', isDevice ? 'block' : 'file')
  // SCSI commands went to the device that it was.
  if (device === 'lun') setAttribute(disk, 'device', 'disk')
  dropAttributes(disk, ['rawio', 'sgio'])
  if (elements(content, 'driver').length === 0) content.unshift({ driver: [], ':@': { name: 'qemu' } })
  // Never what the image says of itself: a guest that writes a qcow2 header onto its raw disk would be believed.
  for (const driver of elements(content, 'driver')) setAttribute(driver, 'type', place.format)
  // The index is libvirt's own count of the original's running images.
  disk.disk = content.map(node => {
    if (!('source' in node)) return node
    const kept = contentOf(node).filter(child => OF_THE_BYTES.includes(nameOf(child)))
    return { source: kept, ':@': { [isDevice ? 'dev' : 'file']: escapeXml(place.path) } }
  })
  // The end of the chain: an image could name any file of the blade as the one below it.
  if (changes.isolated && place.format === 'qcow2') contentOf(disk).push({ backingStore: [] })
}

/** The medium lies on the blade the backup was made on; a drive without it is no reason not to start. */
function adaptDrive(drive: Node, { isolated }: DefinitionChanges): void {
  if (isolated) {
    dropChildren(drive, ['source'])
    setAttribute(drive, 'type', 'file')
    return
  }
  // libvirt takes no such policy for a medium in the network.
  if (!['file', 'block'].includes(attributes(drive).type ?? '')) return
  for (const source of elements(contentOf(drive), 'source')) setAttribute(source, 'startupPolicy', 'optional')
}

function dropOwnPath(channel: Node): void {
  const path = attributes(elements(contentOf(channel), 'source')[0]).path ?? ''
  if (OWN_CHANNEL_PATH.test(path)) dropChildren(channel, ['source'])
}
