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
  'pstore',
])
const AGENT_CHANNEL = 'org.qemu.guest_agent.0'
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

/** What one blade can have once only is left to the original, which may run beside the copy. */
function stepAside(domain: Node[], devices: Node[], oldName: string, newName: string): void {
  // A file that bears the name of the original; libvirt makes another one from the template.
  for (const nvram of elements(under(domain, 'os'), 'nvram')) {
    nvram.nvram = []
    dropAttributes(nvram, ['type'])
  }
  for (const nic of elements(devices, 'interface')) dropChildren(nic, ['mac'])
  for (const graphics of elements(devices, 'graphics')) {
    if (attributes(graphics).port === undefined) continue
    dropAttributes(graphics, ['port', 'tlsPort', 'websocket'])
    setAttribute(graphics, 'autoport', 'yes')
  }
  const renamed = (path: string): string =>
    oldName !== '' && path.includes(oldName) ? path.replaceAll(oldName, newName) : `${path}.${newName}`
  for (const port of devices.filter(node => ['serial', 'console', 'parallel'].includes(nameOf(node)))) {
    const isFile = attributes(port).type === 'file'
    for (const [name, attribute] of [
      ['source', 'path'],
      ['log', 'file'],
    ] as const) {
      for (const node of isFile || name === 'log' ? elements(contentOf(port), name) : []) {
        setAttribute(node, attribute, renamed(attributes(node)[attribute] ?? ''))
      }
    }
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
  if (device === 'cdrom' || device === 'floppy') {
    // The medium lies on the blade the backup was made on; a drive without it is no reason not to start.
    if (changes.isolated) dropChildren(disk, ['source'])
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
    'source' in node ? { source: [], ':@': { [isDevice ? 'dev' : 'file']: escapeXml(path) } } : node,
  )
}

/** No network, nothing of the blade, and a console that can be watched. */
function isolate(domain: Node[], devices: Node[], consolePath: string): void {
  // Options by hand may be a network, or anything.
  drop(domain, node => nameOf(node) === 'qemu:commandline')
  const first = elements(devices, 'serial')[0]
  const serial = first ?? { serial: [{ target: [], ':@': { port: '0' } }] }
  drop(devices, node => LEADS_OUT.has(nameOf(node)) || isForeign(node))
  drop(devices, node => ['serial', 'console'].includes(nameOf(node)))
  setAttribute(serial, 'type', 'file')
  dropChildren(serial, ['source', 'protocol', 'log'])
  contentOf(serial).unshift({ source: [], ':@': { path: consolePath, append: 'off' } })
  devices.push(serial)
}

/** Channels of a desktop or of another program of the blade (the guest agent's stays), memory that is a file of it. */
function isForeign(node: Node): boolean {
  const content = contentOf(node)
  if (nameOf(node) === 'memory')
    return elements(content, 'source').some(one => elements(contentOf(one), 'path').length > 0)
  if (nameOf(node) !== 'channel') return false
  return attributes(elements(content, 'target')[0]).name !== AGENT_CHANNEL
}

function dropOwnPath(channel: Node): void {
  const path = attributes(elements(contentOf(channel), 'source')[0]).path ?? ''
  if (OWN_CHANNEL_PATH.test(path)) dropChildren(channel, ['source'])
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

function dropChildren(node: Node, names: readonly string[]): void {
  drop(contentOf(node), child => names.includes(nameOf(child)))
}

function drop(content: Node[], isUnwanted: (node: Node) => boolean): void {
  content.splice(0, content.length, ...content.filter(node => !isUnwanted(node)))
}

function dropAttributes(node: Node, names: readonly string[]): void {
  node[':@'] = Object.fromEntries(Object.entries(attributes(node)).filter(([name]) => !names.includes(name)))
}

function textOf(node: Node | undefined): string {
  return String(contentOf(node)[0]?.['#text'] ?? '')
}

function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  }
  return text.replaceAll(/[&<>"']/g, letter => entities[letter] ?? letter)
}
