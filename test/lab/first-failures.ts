// A reporter for node:test: only what failed first, with its error. One part that breaks lets story after story fail, and
// the one that says why is then far above the end of the log.
import { basename } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

const MOST = 3
const MOST_LINES = 12

/** Yields nothing where everything passed. */
export default async function* firstFailures(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let count = 0
  for await (const { type, data } of source) {
    if (type !== 'test:fail') continue
    const { error } = data.details
    // A file or suite that failed for what is in it has been told with that.
    if ('failureType' in error && error.failureType === 'subtestsFailed') continue
    if (++count > MOST) continue
    yield `${basename(data.file ?? '')}:${data.line ?? 0} ${data.name}\n${describe(error.cause ?? error)}\n`
  }
  if (count > MOST) yield `and ${count - MOST} more\n`
}

function describe(error: unknown): string {
  const words: string[] = []
  for (let each: unknown = error; each !== undefined; each = each instanceof Error ? each.cause : undefined) {
    words.push(each instanceof Error ? `${each.name}: ${each.message}` : String(each))
  }
  return words
    .join('\ncaused by ')
    .split('\n')
    .slice(0, MOST_LINES)
    .map(line => `  ${line}`)
    .join('\n')
}
