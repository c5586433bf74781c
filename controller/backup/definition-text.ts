import { XMLParser } from 'fast-xml-parser'
import { LifeboatError } from '../../shared/errors.ts'

/** What the placement asks of a definition (libvirt's domain XML), in the words of the agents' reports. */
export interface DefinitionParts {
  readonly networks: readonly string[]
  readonly machine: string
  readonly cpuModel: string
}

type Element = Readonly<Record<string, unknown>>

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#text',
  alwaysCreateTextNode: true,
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (_name, _path, _isLeaf, isAttribute) => !isAttribute,
})

/** Reads the definition in a restore point. Throws `bad-input` when it is no domain XML. */
export function parseDefinition(text: string): DefinitionParts {
  const domain = child(parse(text), 'domain')
  if (domain === undefined)
    throw new LifeboatError('bad-input', 'the definition in the restore point is no domain')
  const cpu = child(domain, 'cpu')
  const mode = attribute(cpu, 'mode')
  return {
    networks: [...new Set(children(child(domain, 'devices'), 'interface').flatMap(networkOf))],
    machine: attribute(child(child(domain, 'os'), 'type'), 'machine'),
    cpuModel: mode !== '' && mode !== 'custom' ? mode : textOf(child(cpu, 'model')),
  }
}

function parse(text: string): Element {
  try {
    return parser.parse(text, true) as Element
  } catch (error) {
    throw new LifeboatError('bad-input', 'the definition in the restore point cannot be read', {
      cause: error,
    })
  }
}

/** What must be there under the same name. User-mode networking needs nothing. */
function networkOf(element: Element): string[] {
  const source = child(element, 'source')
  const type = attribute(element, 'type')
  const name = attribute(source, type === 'direct' ? 'dev' : type)
  return ['bridge', 'network', 'direct'].includes(type) && name !== '' ? [`${type}:${name}`] : []
}

function children(element: Element | undefined, name: string): readonly Element[] {
  const value = element?.[name]
  return Array.isArray(value) ? (value as Element[]) : []
}

function child(element: Element | undefined, name: string): Element | undefined {
  return children(element, name)[0]
}

function attribute(element: Element | undefined, name: string): string {
  const value = element?.[`@${name}`]
  return typeof value === 'string' ? value : ''
}

function textOf(element: Element | undefined): string {
  const value = element?.['#text']
  return typeof value === 'string' ? value.trim() : ''
}
