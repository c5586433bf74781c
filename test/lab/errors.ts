/** What went wrong in the lab, in words for the person at the terminal; `next` is the command to type now. */
export class LabError extends Error {
  readonly next: string | undefined

  constructor(message: string, options: { cause?: unknown; next?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'LabError'
    this.next = options.next
  }
}

/** One line per link of the cause chain, then the next command if there is one. */
export function describeError(error: unknown): string {
  const lines: string[] = []
  let next: string | undefined
  for (let link = error; link !== undefined; link = link instanceof Error ? link.cause : undefined) {
    lines.push(link instanceof Error ? link.message : String(link))
    if (link instanceof LabError) next ??= link.next
  }
  const text = lines.join('\n  because ')
  return next === undefined ? text : `${text}\n  next: ${next}`
}
