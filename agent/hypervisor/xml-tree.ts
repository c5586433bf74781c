/** An element in the order of its document: `{ name: content[], ':@': attributes }`, text as `{ '#text': … }`. */
export type Node = Record<string, unknown>

// To change a definition and keep all of the rest, in its order. xml.ts is for reading only.

export function nameOf(node: Node): string {
  return Object.keys(node).find(key => key !== ':@') ?? ''
}

export function contentOf(node: Node | undefined): Node[] {
  const content = node === undefined ? undefined : node[nameOf(node)]
  return Array.isArray(content) ? (content as Node[]) : []
}

export function elements(content: readonly Node[], name: string): Node[] {
  return content.filter(node => nameOf(node) === name)
}

/** Content of the element at a path of names; a list of its own, empty, when there is none. */
export function under(content: Node[], ...path: readonly string[]): Node[] {
  return path.reduce((at, name) => contentOf(elements(at, name)[0]), content)
}

export function attributes(node: Node | undefined): Readonly<Record<string, string | undefined>> {
  return (node?.[':@'] ?? {}) as Record<string, string>
}

export function setAttribute(node: Node, name: string, value: string): void {
  node[':@'] = { ...attributes(node), [name]: value }
}

export function setText(content: Node[], name: string, text: string): void {
  const element = elements(content, name)[0]
  if (element !== undefined) element[name] = [{ '#text': text }]
  else content.unshift({ [name]: [{ '#text': text }] })
}

export function dropChildren(node: Node, names: readonly string[]): void {
  drop(contentOf(node), child => names.includes(nameOf(child)))
}

export function keepChildren(node: Node, names: readonly string[]): void {
  drop(contentOf(node), child => !names.includes(nameOf(child)))
}

export function drop(content: Node[], isUnwanted: (node: Node) => boolean): void {
  content.splice(0, content.length, ...content.filter(node => !isUnwanted(node)))
}

export function dropAttributes(node: Node, names: readonly string[]): void {
  node[':@'] = Object.fromEntries(Object.entries(attributes(node)).filter(([name]) => !names.includes(name)))
}

export function keepAttributes(node: Node, names: readonly string[]): void {
  node[':@'] = Object.fromEntries(Object.entries(attributes(node)).filter(([name]) => names.includes(name)))
}

export function textOf(node: Node | undefined): string {
  return String(contentOf(node)[0]?.['#text'] ?? '')
}

export function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  }
  return text.replaceAll(/[&<>"']/g, letter => entities[letter] ?? letter)
}
