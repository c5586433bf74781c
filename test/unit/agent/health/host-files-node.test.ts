import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createHostFiles } from '../../../../agent/health/host-files-node.ts'

describe('host files below a root', () => {
  let root = ''
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'lifeboat-sys-'))
    mkdirSync(join(root, 'sys/class/net/eth1'), { recursive: true })
    mkdirSync(join(root, 'sys/class/net/eth0'))
    writeFileSync(join(root, 'sys/class/net/eth0/carrier'), '1\n')
  })
  after(() => rmSync(root, { recursive: true }))

  it('reads a file and lists a directory in order', async () => {
    const files = createHostFiles(root)
    assert.equal(await files.read('/sys/class/net/eth0/carrier'), '1\n')
    assert.deepEqual(await files.list('/sys/class/net'), ['eth0', 'eth1'])
  })

  it('an absent directory is empty, an absent file is not found, anything else is unavailable', async () => {
    const files = createHostFiles(root)
    assert.deepEqual(await files.list('/sys/block'), [])
    assert.deepEqual(await files.list('/sys/class/net/eth0/carrier'), [])
    await assert.rejects(files.read('/sys/class/net/eth9/carrier'), { code: 'not-found' })
    await assert.rejects(files.read('/sys/class/net'), { code: 'unavailable' })
  })
})
