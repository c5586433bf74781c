import { LifeboatError } from '../../shared/errors.ts'

/** One word or line of a sysfs file. Throws `bad-tool-output` when it is empty or holds what is no text. */
export function parseLine(path: string, text: string): string {
  const line = text.trim()
  // A half-written or torn file shows as nothing or as bytes that are no text; both must not become a state.
  if (line === '' || line.includes('\n') || !/^[\t\x20-\x7e]+$/.test(line)) throw unreadableText(path, text)
  return line
}

/** A whole number at the beginning of a sysfs file (`2`, or `2 (1)` while an array is reshaped). */
export function parseCount(path: string, text: string): number {
  const digits = /^(\d{1,15})(\s|$)/.exec(parseLine(path, text))?.[1]
  if (digits === undefined) throw unreadableText(path, text)
  return Number(digits)
}

/** The error for text that is not what the kernel writes there; shows the start of it. */
export function unreadableText(path: string, text: string): LifeboatError {
  const shown = JSON.stringify(text.slice(0, 40))
  return new LifeboatError('bad-tool-output', `${path} holds ${text === '' ? 'nothing' : shown}`)
}
