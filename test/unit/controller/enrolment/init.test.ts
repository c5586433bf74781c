import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CONFIG_TEMPLATE, readControllerConfig } from '../../../../controller/config.ts'
import { ensurePki } from '../../../../controller/enrolment/authority.ts'
import { checkController, initController } from '../../../../controller/enrolment/init.ts'
import type { CommandRunner } from '../../../../shared/exec.ts'
import { describeCertificate } from '../../../../shared/rpc/certificates.ts'

const NOW = Date.UTC(2026, 0, 1)
const YEAR_MS = 365 * 24 * 3600 * 1000

describe('a host becomes the controller', () => {
  let dir: string
  let configPath: string
  /** What systemd was asked; the unit is off until it was enabled. */
  let asked: string[]

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lifeboat-init-'))
    configPath = join(dir, 'controller.toml')
    writeFileSync(configPath, `[state]\ndir = "${dir}/state"\n`)
    asked = []
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  const run = {
    run: async (argv: readonly string[]) => {
      asked.push(argv.join(' '))
      const isQuestion = argv[1] === 'is-enabled' || argv[1] === 'is-active'
      const isOn = asked.includes('systemctl enable --now lifeboat-controller')
      const exitCode = argv[0] === 'id' || (isQuestion && !isOn) ? 1 : 0
      return { stdout: '', stderr: '', exitCode, durationMs: 1 }
    },
  } as unknown as CommandRunner
  const init = (addresses: string[] = []) =>
    initController({ configPath, addresses, start: true }, run, { now: () => NOW, sleep: async () => {} })

  it('makes authority, certificate and database, starts the unit; a second time changes nothing', async () => {
    const first = await init(['192.0.2.1'])
    assert.equal(first.done.length, 4)
    assert.ok(asked.includes('systemctl enable --now lifeboat-controller'))
    const key = join(dir, 'state/pki/authority.key')
    assert.equal(statSync(key).mode & 0o777, 0o600)
    const before = readFileSync(key, 'utf8')
    const second = await init()
    assert.deepEqual(second.done, [])
    assert.deepEqual(second.addresses, ['192.0.2.1'])
    assert.equal(readFileSync(key, 'utf8'), before)
    assert.deepEqual(
      checkController(configPath).filter(problem => !problem.includes('the unit makes it')),
      [],
    )
  })

  it('writes a configuration whose commented lines are the defaults', () => {
    const missing = join(dir, 'etc/controller.toml')
    const uncommented = CONFIG_TEMPLATE.replaceAll(/^# (?=[a-z_]+ = )/gm, '')
    writeFileSync(configPath, uncommented)
    assert.deepEqual(readControllerConfig(configPath), readControllerConfig(missing))
  })

  it('new addresses make a new certificate, not a new authority', async () => {
    await init(['192.0.2.1'])
    const crt = join(dir, 'state/pki/controller.crt')
    const before = readFileSync(crt, 'utf8')
    const again = await init(['192.0.2.1', 'depot'])
    assert.deepEqual(again.done, [`made ${crt}`])
    assert.notEqual(readFileSync(crt, 'utf8'), before)
  })

  it('the server certificate is made anew at a start when a third of its life is left', async () => {
    const state = join(dir, 'state')
    const first = await ensurePki(state, NOW, undefined, ['depot'])
    assert.deepEqual((await ensurePki(state, NOW + 3 * YEAR_MS, undefined, ['depot'])).made, [])
    const renewed = await ensurePki(state, NOW + 4 * YEAR_MS, undefined, ['depot'])
    assert.equal(renewed.made.length, 1)
    assert.ok(
      describeCertificate(renewed.identity.certificatePem).notAfter >
        describeCertificate(first.identity.certificatePem).notAfter,
    )
    assert.equal(renewed.authority.certificatePem, first.authority.certificatePem)
  })

  it('half an authority is an error that says what to do, never a new one', async () => {
    await init()
    unlinkSync(join(dir, 'state/pki/authority.key'))
    await assert.rejects(init(), /has only one of authority\.crt and authority\.key/)
  })
})
