import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readAgentConfig } from '../../../agent/config.ts'

const dir = mkdtempSync(join(tmpdir(), 'lbc-'))
after(() => rmSync(dir, { recursive: true, force: true }))

function read(text: string) {
  const path = join(dir, 'agent.toml')
  writeFileSync(path, text)
  return readAgentConfig(path)
}

test('without a file everything has its default', () => {
  const config = readAgentConfig(join(dir, 'none.toml'))
  assert.equal(config.peerListen, '0.0.0.0:7422')
  assert.deepEqual(config.bmc, { method: 'local' })
  assert.equal(config.libvirtUri, 'qemu:///system')
  assert.equal(config.reserveBytes, undefined)
})

test('a remote BMC is read with its cipher suite, and a memory reserve in MiB', () => {
  const config = read(
    '[power]\nmethod = "lanplus"\nhost = "10.0.0.9"\nuser = "admin"\npassword_file = "/p"\n[memory]\nreserve_mib = 2',
  )
  assert.deepEqual(config.bmc, {
    method: 'lanplus',
    host: '10.0.0.9',
    user: 'admin',
    passwordFile: '/p',
    cipherSuite: 3,
  })
  assert.equal(config.reserveBytes, 2 * 1024 * 1024)
})

test('every problem is told at once, spelled as in the file', () => {
  assert.throws(
    () => read('colour = 1\n[peer]\nlisten = "nowhere"\n[log]\nlevel = "loud"\n'),
    (error: { code?: string; details?: readonly string[] }) => {
      assert.equal(error.code, 'bad-config')
      const text = error.details?.join('\n') ?? ''
      for (const key of ['colour', 'peer.listen', 'log.level'])
        assert.ok(text.includes(key), `${key} in ${text}`)
      return true
    },
  )
})

test('lanplus without host, user and password file is refused for each of them', () => {
  assert.throws(
    () => read('[power]\nmethod = "lanplus"\n'),
    (error: { details?: readonly string[] }) => error.details?.length === 3,
  )
})

test('broken TOML is told with its line', () => {
  assert.throws(() => read('[peer]\nlisten = \n'), /agent\.toml:2/)
})
