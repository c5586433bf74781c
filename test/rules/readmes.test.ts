import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from './source-files.ts'

const FOLDERS = ['agent', 'controller', 'proto', 'shared', 'systemd', 'test']

const paths = [
  'README.md',
  ...FOLDERS.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(path => join(folder, path)),
  ),
]
const readmes = paths
  .filter(path => path === 'README.md' || path.endsWith('/README.md'))
  .map(path => ({ path, side: path.split('/')[0] ?? '', text: readFileSync(join(ROOT, path), 'utf8') }))

function allMatches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(match => match[1] ?? '')
}

test('there are READMEs to check', () => {
  assert.ok(readmes.length > 8, `only ${readmes.length} found`)
})

test('every link of a README leads to a file', () => {
  const dead = readmes.flatMap(({ path, text }) =>
    allMatches(text, /\]\((?!https?:)([^)#]+)/g)
      .filter(link => !existsSync(join(ROOT, dirname(path), link)))
      .map(link => `${path}: ${link}`),
  )
  assert.deepEqual(dead, [])
})

test('every source file a README names is there', () => {
  // `name.ts`, `folder/name.ts`; a pattern such as `lvm-*` names no single file. Looked for below the top folder of the
  // README, and from the root.
  const gone = readmes.flatMap(({ path, side, text }) =>
    allMatches(text, /`([\w./-]+\.(?:ts|proto))`/g)
      .filter(
        name => !paths.some(file => file === name || (file.startsWith(side) && file.endsWith(`/${name}`))),
      )
      .map(name => `${path}: ${name}`),
  )
  assert.deepEqual(gone, [])
})

test('the map of the folders names every folder of the agent and of the controller, and no other', () => {
  const map = readmes.find(({ path }) => path === 'README.md')?.text.split('\n') ?? []
  for (const side of ['agent', 'controller']) {
    const row = map.find(line => line.startsWith(`| [${side}/]`)) ?? ''
    const folders = readdirSync(join(ROOT, side), { withFileTypes: true }).filter(entry =>
      entry.isDirectory(),
    )
    assert.deepEqual(allMatches(row, /`([a-z]+)\/`/g).sort(), folders.map(({ name }) => name).sort(), side)
  }
})
