import {
  attributes,
  contentOf,
  drop,
  dropAttributes,
  dropChildren,
  elements,
  type Node,
  nameOf,
  setAttribute,
  under,
} from './xml-tree.ts'

/** Ports of the VM that may be a file, a socket or a network port of the blade. */
const PORTS = ['serial', 'console', 'parallel', 'channel']

/**
 * What one blade can have once only is left to the original, which may run beside the copy. Pure. Both names as they
 * stand in XML.
 */
export function stepAside(domain: Node[], devices: Node[], oldName: string, newName: string): void {
  // A file that bears the name of the original; libvirt makes another one from the template.
  for (const nvram of elements(under(domain, 'os'), 'nvram')) {
    nvram.nvram = []
    dropAttributes(nvram, ['type'])
  }
  for (const nic of elements(devices, 'interface')) {
    // Its address, and the name of its end on the blade: libvirt finds others.
    dropChildren(nic, ['mac', 'target'])
    for (const port of elements(under(contentOf(nic), 'virtualport'), 'parameters')) {
      dropAttributes(port, ['interfaceid', 'instanceid'])
    }
  }
  for (const graphics of elements(devices, 'graphics')) freeGraphics(graphics)
  for (const vsock of elements(devices, 'vsock')) {
    dropChildren(vsock, ['cid'])
    contentOf(vsock).unshift({ cid: [], ':@': { auto: 'yes' } })
  }
  // Memory that is a file: both would write into it.
  drop(devices, isFileMemory)
  const renamed = renamer(oldName, newName)
  for (const port of devices.filter(node => PORTS.includes(nameOf(node)))) freePort(port, renamed)
}

/** A memory device whose content lies in a file or device of the blade. */
export function isFileMemory(node: Node): boolean {
  if (nameOf(node) !== 'memory') return false
  return elements(contentOf(node), 'source').some(one => elements(contentOf(one), 'path').length > 0)
}

/** In the last part of a path alone: nobody makes a directory for the copy. */
function renamer(oldName: string, newName: string): (path: string) => string {
  return path => {
    const at = path.lastIndexOf('/') + 1
    const base = path.slice(at)
    const isNamed = oldName !== '' && base.includes(oldName)
    return path.slice(0, at) + (isNamed ? base.replaceAll(oldName, newName) : `${base}.${newName}`)
  }
}

function freeGraphics(graphics: Node): void {
  for (const node of [graphics, ...elements(contentOf(graphics), 'listen')]) dropAttributes(node, ['socket'])
  if (attributes(graphics).port === undefined) return
  dropAttributes(graphics, ['port', 'tlsPort', 'websocket'])
  setAttribute(graphics, 'autoport', 'yes')
}

function freePort(port: Node, renamed: (path: string) => string): void {
  const content = contentOf(port)
  const type = attributes(port).type ?? ''
  const sources = elements(content, 'source')
  const binds = sources.some(source => attributes(source).mode === 'bind')
  if (type === 'pipe' || (binds && ['tcp', 'udp'].includes(type))) {
    setAttribute(port, 'type', 'pty')
    dropChildren(port, ['source', 'protocol'])
  }
  const isOwn = type === 'file' || (type === 'unix' && binds)
  for (const source of isOwn ? sources : []) rename(source, 'path', renamed)
  for (const log of elements(content, 'log')) rename(log, 'file', renamed)
}

function rename(node: Node, attribute: string, renamed: (path: string) => string): void {
  const path = attributes(node)[attribute]
  if (path !== undefined) setAttribute(node, attribute, renamed(path))
}
