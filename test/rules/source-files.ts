import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string
  readonly text: string
  /** Relative imports, resolved against the root. */
  readonly imports: readonly string[]
}

/** Every TypeScript file below the folders, generated ones left out. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
      .map(entry => relative(ROOT, join(entry.parentPath, entry.name)))
      .filter(path => !path.startsWith('proto/gen'))
      .sort()
      .map(path => {
        const text = readFileSync(join(ROOT, path), 'utf8')
        return { path, text, imports: relativeImports(path, text) }
      }),
  )
}

function relativeImports(path: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)].map(match => match[1] ?? '')
  return specifiers.map(specifier => relative(ROOT, join(ROOT, dirname(path), specifier)))
}
