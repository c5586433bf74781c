import { readFileSync } from 'node:fs'
import { parse, TomlError } from 'smol-toml'
import * as z from 'zod'
import { plural } from './domain/units.ts'
import { LifeboatError } from './errors.ts'
import { issueWords } from './issue-words.ts'

/**
 * One [section] of a configuration file: strict (an unknown key is an error: a typo must not become a silent
 * default), and as a whole optional when every key of it has a default.
 */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape).prefault({} as never)
}

/**
 * Reads a TOML file and checks it against the schema (build it from `section` and `z.strictObject`).
 * Throws `bad-config` with EVERY problem in `details`, keys spelled as in the file.
 * A missing file is all defaults (`empty`) or an error (`error`).
 */
export function readConfigFile<S extends z.ZodType>(
  path: string,
  schema: S,
  whenMissing: 'empty' | 'error',
): z.output<S> {
  const text = readText(path, whenMissing)
  return parseConfig(text, path, schema)
}

/** The pure half of readConfigFile; `path` is only for the messages. */
export function parseConfig<S extends z.ZodType>(text: string, path: string, schema: S): z.output<S> {
  const result = schema.safeParse(parseToml(text, path))
  if (result.success) return result.data
  const details = result.error.issues.flatMap(describeIssue)
  throw new LifeboatError('bad-config', `${path}: ${plural(details.length, 'problem')}`, { details })
}

function readText(path: string, whenMissing: 'empty' | 'error'): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      if (whenMissing === 'empty') return ''
      throw new LifeboatError('bad-config', `${path} does not exist`)
    }
    throw new LifeboatError('bad-config', `${path} cannot be read`, { cause: error })
  }
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The library's message carries a drawing of the place over several lines; a log line takes only its first.
    const problem = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')
    throw new LifeboatError('bad-config', `${path}:${error.line}: broken TOML: ${problem}`)
  }
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const where = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => `${[where, key].filter(part => part !== '').join('.')} is not a known key`)
  }
  return [`${where === '' ? 'the file' : where}: ${issueWords(issue.message)}`]
}
