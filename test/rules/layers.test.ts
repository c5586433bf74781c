import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SourceFile, sourceFiles } from './source-files.ts'

const product = sourceFiles('shared', 'agent', 'controller')

function offenders(files: readonly SourceFile[], isBad: (file: SourceFile) => boolean): string[] {
  return files.filter(isBad).map(file => file.path)
}

function below(...prefixes: readonly string[]): (path: string) => boolean {
  return path => prefixes.some(prefix => path.startsWith(prefix))
}

test('the rules look at files at all', () => {
  assert.ok(product.length > 60, `only ${product.length} files found`)
  assert.ok(product.some(file => file.imports.length > 0))
})

test('agent and controller never import each other, shared imports neither, and nobody imports test', () => {
  const walls = [
    { inside: 'agent/', forbidden: below('controller/', 'test/') },
    { inside: 'controller/', forbidden: below('agent/', 'test/') },
    { inside: 'shared/', forbidden: below('agent/', 'controller/', 'test/') },
  ]
  for (const wall of walls) {
    const bad = product
      .filter(file => file.path.startsWith(wall.inside))
      .flatMap(file => file.imports.filter(wall.forbidden).map(target => `${file.path} → ${target}`))
    assert.deepEqual(bad, [])
  }
})

test('the domain types and the errors stand on nothing of ours but each other', () => {
  const bad = product
    .filter(file => below('shared/domain/', 'shared/errors.ts')(file.path))
    .flatMap(file => file.imports.filter(target => !below('shared/domain/', 'shared/errors.ts')(target)))
  assert.deepEqual(bad, [])
})

test('what decides is pure: it may not wait, log, read a clock or touch the world', () => {
  const deciding = product.filter(file =>
    /^controller\/(placement|diagnosis)\/|^controller\/fleet\/(liveness|health)\.ts|^controller\/evacuation\/(policy|brakes)\.ts|^controller\/alerts\/(catalog|visible)\.ts|-text\.ts$|^shared\/saga\/replay\.ts/.test(
      file.path,
    ),
  )
  assert.ok(deciding.length > 15, `only ${deciding.length} deciding files found`)
  const impure =
    /\bawait\b|\basync\b|Date\.now|Math\.random|\bfrom 'node:(fs|net|child_process|timers)|shared\/(log|clock|exec)|\bconsole\./
  assert.deepEqual(
    offenders(deciding, file => impure.test(withoutComments(file.text))),
    [],
  )
})

test('time and chance have one door each', () => {
  // The CLI and the process entry points talk to a person or to systemd in real time.
  const doors = below(
    'shared/clock.ts',
    'controller/cli/',
    'agent/main.ts',
    'controller/main.ts',
    'shared/lifecycle.ts',
    'shared/log.ts',
  )
  const bad = offenders(
    product,
    file => !doors(file.path) && /Date\.now\(|Math\.random\(|\bnew Date\(\)/.test(withoutComments(file.text)),
  )
  assert.deepEqual(bad, [])
})

test('programs are run in one place only', () => {
  const bad = offenders(
    product,
    file => file.path !== 'shared/exec-node.ts' && /node:child_process/.test(file.text),
  )
  assert.deepEqual(bad, [])
})

test('SQL stands in the stores and the journal only', () => {
  const homes = below('controller/store/', 'shared/sqlite.ts', 'shared/saga/', 'agent/store/')
  const sql = /\b(SELECT .* FROM|INSERT INTO|DELETE FROM|CREATE TABLE|UPDATE \w+ SET)\b/
  assert.deepEqual(
    offenders(product, file => !homes(file.path) && sql.test(withoutComments(file.text))),
    [],
  )
})

test('only the entry points end the process', () => {
  const bad = offenders(product, file => /process\.exit\(/.test(withoutComments(file.text)))
  assert.deepEqual(bad, [])
})

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}
