import { XMLBuilder, XMLParser } from 'fast-xml-parser'
import { LifeboatError } from '../../shared/errors.ts'
import type { DefinitionChanges } from './hypervisor.ts'

/** An element in the order of its document: `{ name: content[], ':@': attributes }`, text as `{ '#text': … }`. */
type Node = Record<string, unknown>

const OPTIONS = {
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  // What is not understood goes through as it came, entities too.
  processEntities: false,
  trimValues: false,
  commentPropName: '#comment',
  cdataPropName: '#cdata',
} as const
const parser = new XMLParser(OPTIONS)
const builder = new XMLBuilder({ ...OPTIONS, suppressEmptyNode: true, suppressBooleanAttributes: false })

/** Devices an isolated copy goes without: what leads out of the VM, and what would fight the original for something. */
const LEADS_OUT = new Set([
  'interface',
  'hostdev',
  'redirdev',
  'redirfilter',
  'filesystem',
  'shmem',
  'smartcard',
  'graphics',
  'sound',
  'audio',
  'tpm',
  'parallel',
  'vsock',
  'lease',
  'watchdog',
])
const AGENT_CHANNEL = 'org.qemu.guest_agent.0'

/**
 * A libvirt definition for the VM that is restored from a backup. Pure. `consolePath`: where an isolated copy prints to.
 * Everything that is not named in `changes` stays as it was written, whatever it is; only the identity of the machine
 * inside (generation id) is always new, because a guest that is set back in time must be told.
 * Throws `bad-input` for text that is no definition, and when a disk of it is not given a new place.
 */
export function adaptDomainXml(text: string, changes: DefinitionChanges, consolePath: string): string {
  const document = parse(text)
  const domain = contentOf(document.find(node => 'domain' in node))
  setText(domain, 'name', escapeXml(changes.name))
  setText(domain, 'uuid', changes.id)
  // libvirt fills in a new one.
  for (const node of elements(domain, 'genid')) node.genid = []
  for (const entry of elements(under(domain, 'sysinfo', 'system'), 'entry')) {
    if (attributes(entry).name === 'uuid') entry.entry = [{ '#text': changes.id }]
  }
  // A path that bears the name of the original; libvirt makes a file of its own from the template.
  for (const node of elements(under(domain, 'os'), 'nvram')) {
    if (changes.newIdentity || changes.isolated) node.nvram = []
  }
  const devices = under(domain, 'devices')
  for (const disk of elements(devices, 'disk')) adaptDisk(disk, changes)
  if (changes.newIdentity)
    for (const nic of elements(devices, 'interface')) dropChildren(nic, 'interface', 'mac')
  if (changes.isolated) isolate(devices, consolePath)
  return builder.build(document) as string
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
  if (device === 'cdrom' || device === 'floppy') {
    // The medium lies on the blade the backup was made on; a drive without it is no reason not to start.
    if (changes.isolated) disk.disk = content.filter(node => !('source' in node))
    else for (const source of elements(content, 'source')) setAttribute(source, 'startupPolicy', 'optional')
    return
  }
  const target = attributes(elements(content, 'target')[0]).dev ?? ''
  const path = changes.diskPaths.get(target)
  if (path === undefined) {
    throw new LifeboatError(
      'bad-input',
      `the definition has a disk ${target || '?'} for which there is no volume`,
    )
  }
  const isDevice = path.startsWith('/dev/')
  setAttribute(disk, 'type', isDevice ? 'block' : 'file')
  // The index is libvirt's own count of the original's running images.
  disk.disk = content.map(node =>
    'source' in node ? { source: [], ':@': { [isDevice ? 'dev' : 'file']: path } } : node,
  )
}

/** No network, nothing of the blade, and a console that can be watched. */
function isolate(devices: Node[], consolePath: string): void {
  const kept = devices.filter(node => !LEADS_OUT.has(nameOf(node)) && !isForeignChannel(node))
  const others = kept.filter(node => !['serial', 'console'].includes(nameOf(node)))
  const serial = kept.find(node => nameOf(node) === 'serial') ?? {
    serial: [{ target: [], ':@': { port: '0' } }],
  }
  setAttribute(serial, 'type', 'file')
  const rest = contentOf(serial).filter(node => !['source', 'protocol', 'log'].includes(nameOf(node)))
  serial.serial = [{ source: [], ':@': { path: consolePath, append: 'off' } }, ...rest]
  devices.splice(0, devices.length, ...others, serial)
}

/** Channels of a desktop or of another program of the blade; the guest agent's stays, under a path of libvirt's choice. */
function isForeignChannel(node: Node): boolean {
  if (nameOf(node) !== 'channel') return false
  const content = contentOf(node)
  if (attributes(elements(content, 'target')[0]).name !== AGENT_CHANNEL) return true
  node.channel = content.filter(child => nameOf(child) !== 'source')
  return false
}

function nameOf(node: Node): string {
  return Object.keys(node).find(key => key !== ':@') ?? ''
}

function contentOf(node: Node | undefined): Node[] {
  const content = node === undefined ? undefined : node[nameOf(node)]
  return Array.isArray(content) ? (content as Node[]) : []
}

function elements(content: readonly Node[], name: string): Node[] {
  return content.filter(node => nameOf(node) === name)
}

/** Content of the element at a path of names; a list of its own, empty, when there is none. */
function under(content: Node[], ...path: readonly string[]): Node[] {
  return path.reduce((at, name) => contentOf(elements(at, name)[0]), content)
}

function attributes(node: Node | undefined): Readonly<Record<string, string | undefined>> {
  return (node?.[':@'] ?? {}) as Record<string, string>
}

function setAttribute(node: Node, name: string, value: string): void {
  node[':@'] = { ...attributes(node), [name]: value }
}

function setText(content: Node[], name: string, text: string): void {
  const element = elements(content, name)[0]
  if (element !== undefined) element[name] = [{ '#text': text }]
  else content.unshift({ [name]: [{ '#text': text }] })
}

function dropChildren(node: Node, name: string, child: string): void {
  node[name] = contentOf(node).filter(one => nameOf(one) !== child)
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
