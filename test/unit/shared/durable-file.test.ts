import assert from 'node:assert/strict'
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
