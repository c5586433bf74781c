import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { VERSION } from '../../shared/version.ts'
import { ROOT } from './source-files.ts'

test('the generated protocol code is what the .proto files say', () => {
  const fresh = mkdtempSync(join(tmpdir(), 'lifeboat-proto-'))
  try {
    execFileSync(join(ROOT, 'node_modules/.bin/buf'), ['generate', '--output', fresh], {
      cwd: ROOT,
      stdio: 'pipe',
      env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` },
    })
    const names = (folder: string) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .sort()
    const generated = join(fresh, 'proto/gen')
    const committed = join(ROOT, 'proto/gen')
    assert.deepEqual(names(committed), names(generated), 'run: npm run proto')
    for (const name of names(generated)) {
      const same = readFileSync(join(committed, name), 'utf8') === readFileSync(join(generated, name), 'utf8')
      assert.ok(same, `${name} is stale, run: npm run proto`)
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
})

test('the version in the code is the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  assert.equal(VERSION, version)
})
