import { clip, LARGEST_BYTES, nameProblem, Problems } from './problems.ts'

/** One line, not split at its bars yet: fields that are read and dropped at once cost a large file the least. */
export interface Row {
  readonly line: number
  readonly text: string
}

export interface Sections {
  readonly groups: readonly Row[]
  readonly nodes: readonly Row[]
  readonly instances: readonly Row[]
  readonly tags: readonly Row[]
  readonly policies: readonly Row[]
}

const MIB = 1024 * 1024
/** The least that a line of a group and of a node has; more than any text that is none has by chance. */
export const LEAST_FIELDS = { group: 3, node: 9 } as const

/**
 * Throws `bad-input` when the text is something else altogether: a problem for each of its lines would say no more, and
 * that at length.
 */
export function requireGaneti(text: string, { groups, nodes }: Sections): void {
  const has = (rows: readonly Row[], least: number) => rows.some(row => row.text.split('|').length >= least)
  const isOther = text.includes('\u0000') || isJson(text)
  // The first of the groups: in other texts a later line may have bars by chance.
  if (!isOther && (has(groups.slice(0, 1), LEAST_FIELDS.group) || has(nodes, LEAST_FIELDS.node))) return
  const problems = new Problems()
  problems.add(
    'whole file',
    `is not the text of Ganeti's htools, where a group or node is a line with | between its fields${isJson(text) ? '; JSON is read with --format lifeboat' : ''}`,
  )
  problems.throwIfAny('the cluster')
}

function isJson(text: string): boolean {
  return /^\s*[{[]/.test(text)
}

/** Sections end with one empty line each; two in a row are an empty section. A wrong number of them is a problem. */
export function toSections(text: string, problems: Problems): Sections {
  const lines = (text.includes('\r') ? text.replaceAll('\r\n', '\n') : text).split('\n')
  if (lines.at(-1) === '') lines.pop()
  const sections: Row[][] = [[]]
  for (const [index, line] of lines.entries()) {
    if (line === '') sections.push([])
    else sections.at(-1)?.push({ line: index + 1, text: line })
  }
  // An empty section of policies, written with the empty line that ends it.
  if (sections.length === 6 && sections[5]?.length === 0) sections.pop()
  if (sections.length < 4 || sections.length > 5) {
    problems.add(
      'whole file',
      `has ${sections.length} sections, not 4 or 5 (groups, nodes, instances, cluster tags, policies), with one empty line after each`,
    )
  }
  const [groups = [], nodes = [], instances = [], tags = [], policies = []] = sections
  return { groups, nodes, instances, tags, policies }
}

/** Reads the fields of one row; what is wrong is written down, and stands as 0 or '' afterwards. */
export class RowReader {
  readonly fields: readonly string[]
  readonly #line: number
  readonly #problems: Problems
  readonly #kind: string

  /** `least` fields must be there; `kind` is what the line describes: `node`. */
  constructor(row: Row, kind: string, least: number, problems: Problems) {
    this.fields = row.text.split('|')
    this.#line = row.line
    this.#problems = problems
    this.#kind = kind
    const wrong = nameProblem(this.name)
    if (wrong !== '') this.wrong(wrong)
    if (this.fields.length < least) {
      this.wrong(`has ${this.fields.length} fields, ${least} are the least: the line is cut short`)
    }
  }

  get name(): string {
    return this.text(0)
  }

  text(at: number): string {
    return this.fields[at] ?? ''
  }

  /** Mebibytes as bytes. */
  bytes(at: number, name: string): number {
    const bytes = this.number(at, name) * MIB
    if (bytes <= LARGEST_BYTES) return bytes
    this.wrong(`has the ${name} ${this.text(at)} MiB; more than 512 TiB is taken for a mistake`)
    return 0
  }

  /** A number that is not below zero. A field that is not there was told of already. */
  number(at: number, name: string): number {
    const text = this.fields[at]
    if (text === undefined) return 0
    if (/^\d{1,15}$/.test(text)) return Number(text)
    const value = /^[+-]?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN
    if (Number.isNaN(value)) this.wrong(`has the ${name} '${clip(text)}', which is not a number`)
    else if (value < 0) this.wrong(`has the ${name} ${text}, which is below zero`)
    else return Math.floor(value)
    return 0
  }

  wrong(text: string): void {
    tellOf(this.#kind, { name: this.name, line: this.#line }, text, this.#problems)
  }
}

/** Writes down what is wrong with a thing that a line describes. */
export function tellOf(
  kind: string,
  { name, line }: { readonly name: string; readonly line: number },
  text: string,
  problems: Problems,
): void {
  problems.add(`line ${line}`, `${clip(`${kind} ${name === '' ? '(without a name)' : name}`)} ${text}`)
}
