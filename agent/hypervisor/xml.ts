import { XMLParser } from 'fast-xml-parser'
import { LifeboatError } from '../../shared/errors.ts'

/** An element: attributes under `@name`, text under `#text`, child elements under their names, always in lists. */
export type XmlElement = Readonly<Record<string, unknown>>

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#text',
  alwaysCreateTextNode: true,
  // Numbers stay text: a UUID or a size must not lose digits on the way.
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (_name, _path, _isLeaf, isAttribute) => !isAttribute,
})

/** The root element of that name. Throws `bad-tool-output` for broken XML or another root. */
export function parseXmlRoot(text: string, rootName: string): XmlElement {
  let document: unknown
  try {
    document = parser.parse(text, true)
  } catch (error) {
    throw new LifeboatError('bad-tool-output', `libvirt printed XML that cannot be read`, { cause: error })
  }
  const root = children(asElement(document), rootName)[0]
  if (root === undefined) {
    throw new LifeboatError('bad-tool-output', `libvirt printed XML without <${rootName}>`)
  }
  return root
}

/** Child elements of that name, in order. */
export function children(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  const value = element?.[name]
  return Array.isArray(value) ? value.map(asElement) : []
}

/** The first element at a path of names. */
export function find(element: XmlElement | undefined, ...path: readonly string[]): XmlElement | undefined {
  return path.reduce<XmlElement | undefined>((at, name) => children(at, name)[0], element)
}

/** An attribute; undefined when it is not there. */
export function attribute(element: XmlElement | undefined, name: string): string | undefined {
  const value = element?.[`@${name}`]
  return typeof value === 'string' ? value : undefined
}

/** The text inside, trimmed; '' when there is none. */
export function textOf(element: XmlElement | undefined): string {
  const value = element?.['#text']
  return typeof value === 'string' ? value.trim() : ''
}

function asElement(value: unknown): XmlElement {
  return typeof value === 'object' && value !== null ? (value as XmlElement) : {}
}
