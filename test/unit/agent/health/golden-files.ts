import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HostFiles } from '../../../../agent/health/host-files.ts'
import { LifeboatError } from '../../../../shared/errors.ts'

const GOLDEN = join(import.meta.dirname, '../../../golden')

export const goldenText = (path: string): string => readFileSync(join(GOLDEN, path), 'utf8')

/** A captured tree (`path<TAB>line`), with files to replace or add; `undefined` removes one. */
export function goldenFiles(tree: string, changes: Record<string, string | undefined> = {}): HostFiles {
  const files = new Map<string, string>()
  for (const line of goldenText(tree).split('\n')) {
    const [path = '', text = ''] = line.split('\t')
    if (path !== '') files.set(path, text)
  }
  for (const [path, text] of Object.entries(changes)) {
    if (text === undefined) files.delete(path)
    else files.set(path, text)
  }
  return {
    async read(path) {
      const text = files.get(path)
      if (text === undefined) throw new LifeboatError('not-found', `${path} does not exist`)
      if (!text.startsWith('!')) return `${text}\n`
      const cause = Object.assign(new Error(text), { code: text.slice(1) })
      throw new LifeboatError('unavailable', `${path} cannot be read (${cause.code})`, { cause })
    },
    async list(path) {
      const names = [...files.keys()]
        .filter(file => file.startsWith(`${path}/`))
        .map(file => file.slice(path.length + 1).split('/', 1)[0] ?? '')
      return [...new Set(names)].sort()
    },
  }
}
