import { plural } from '../domain/units.ts'
import { LifeboatError } from '../errors.ts'

/**
 * Checks a message from the wire field by field and remembers every problem with its place, so that one answer names
 * them all. A reader never stops half way: it hands out a harmless value and `finish` throws.
 */
export class FieldReader {
  readonly #problems: string[] = []

  /** Throws `bad-input` with every problem found, in the order of reading. */
  finish(what: string): void {
    if (this.#problems.length === 0) return
    throw new LifeboatError('bad-input', `${what}: ${plural(this.#problems.length, 'problem')}`, {
      details: this.#problems,
    })
  }

  problem(where: string, text: string): void {
    this.#problems.push(`${where} ${text}`)
  }

  /** A count, size, time or duration: whole, not negative, exact in a double. */
  whole(where: string, value: number): number {
    if (Number.isSafeInteger(value) && value >= 0) return value
    this.problem(where, `must be a whole number from 0, got ${value}`)
    return 0
  }

  /** Any finite number from 0 to `max`. */
  number(where: string, value: number, max: number): number {
    if (Number.isFinite(value) && value >= 0 && value <= max) return value
    this.problem(where, `must be a number from 0 to ${max}, got ${value}`)
    return 0
  }

  text(where: string, value: string): string {
    if (value === '') this.problem(where, 'is empty')
    return value
  }

  matching(where: string, value: string, pattern: RegExp, meaning: string): string {
    if (!pattern.test(value)) this.problem(where, `must be ${meaning}, got '${value}'`)
    return value
  }

  /** One word of a closed list: of an array, or the keys of a record. */
  oneOf<Word extends string>(
    where: string,
    value: string,
    words: readonly Word[] | Readonly<Record<Word, string>>,
  ): Word {
    const list: readonly Word[] = Array.isArray(words) ? words : (Object.keys(words) as Word[])
    const found = list.find(word => word === value)
    if (found !== undefined) return found
    this.problem(where, `'${value}' is not one of ${list.join(', ')}`)
    return list[0] as Word
  }

  each<From, To>(
    where: string,
    values: readonly From[],
    read: (reader: FieldReader, where: string, value: From) => To,
  ): To[] {
    return values.map((value, index) => read(this, `${where}[${index}]`, value))
  }
}
