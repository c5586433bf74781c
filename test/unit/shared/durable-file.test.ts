import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeDurably } from '../../../shared/durable-file.ts'

test('a key is replaced as a whole, and what a killed attempt left gives nobody a look at it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-durable-'))
  try {
    const path = join(directory, 'below', 'key.pem')
    writeDurably(path, 'old', 0o644, 0o700)
    writeFileSync(`${path}.new`, 'half of', { mode: 0o666 })
    writeDurably(path, 'new', 0o600)
    assert.equal(readFileSync(path, 'utf8'), 'new')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(join(directory, 'below')).mode & 0o777, 0o700)
    assert.deepEqual(readdirSync(join(directory, 'below')), ['key.pem'])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('where only a part of it can be written the old file stays, and the error is told', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-durable-'))
  try {
    const path = join(directory, 'record.json')
    writeDurably(path, 'old', 0o600)
    const module = new URL('../../../shared/durable-file.ts', import.meta.url).href
    const program = `const { writeDurably } = await import('${module}'); writeDurably('${path}', 'x'.repeat(40_000), 0o600)`
    // No file of this process may become larger than 8 KiB: the first write ends there, without an error.
    const limited = [
      '-c',
      'ulimit -f 8 && exec "$0" "$@"',
      process.execPath,
      '--input-type=module',
      '-e',
      program,
    ]
    const { status, stderr } = spawnSync('bash', limited, { encoding: 'utf8' })
    assert.equal(status, 1)
    assert.match(stderr, /EFBIG/)
    assert.equal(readFileSync(path, 'utf8'), 'old')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
