import { LifeboatError } from '../../shared/errors.ts'

/** A file that is wrong in a thousand places is not read line by line any more. */
const SHOWN = 1000

/** What is wrong with a file: all of it is told at once. */
export class Problems {
  readonly #lines: string[] = []
  #more = 0

  /** `at`: `line 7`, or the path of the field. */
  add(at: string, text: string): void {
    if (this.#lines.length < SHOWN) this.#lines.push(`${at}: ${text}`)
    else this.#more++
  }

  get any(): boolean {
    return this.#lines.length > 0
  }

  /** Throws `bad-input` with a line for each problem; `what` is what cannot be used. */
  throwIfAny(what: string): void {
    if (!this.any) return
    const details = this.#more === 0 ? this.#lines : [...this.#lines, `and ${this.#more} more`]
    throw new LifeboatError('bad-input', `${what} cannot be used`, { details })
  }
}

/** 512 TiB: no disk or memory of such a fleet is larger, so it is a slip of the pen, or of a unit. */
export const LARGEST_BYTES = 512 * 1024 ** 4

/** Empty: a name that can stand in a table and in a command. */
export function nameProblem(name: string): string {
  if (name === '') return 'has no name'
  if (name.length > 255) return `has a name of ${name.length} characters; 255 are the most`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(name) ? 'has a control character in its name' : ''
}

/** So that a file of rubbish does not fill the terminal, nor steer it. */
export function clip(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?')
  return plain.length > 80 ? `${plain.slice(0, 77)}...` : plain
}
