import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { defaultVaultConfig, readVaultConfig } from '../../../../agent/vault/config.ts'
import { parseCron } from '../../../../shared/cron.ts'

const dir = mkdtempSync(join(tmpdir(), 'lbv-'))
after(() => rmSync(dir, { recursive: true, force: true }))

function read(text: string) {
  const path = join(dir, 'vault.toml')
  writeFileSync(path, text)
  return readVaultConfig(path)
}

test('without a file everything has its default, and the key of the host lies apart from the backups', () => {
  const config = readVaultConfig(join(dir, 'none.toml'))
  assert.deepEqual(config, defaultVaultConfig())
  assert.equal(config.dir, '/var/lib/lifeboat/vault')
  assert.deepEqual([config.controlListen, config.doorListen], ['0.0.0.0:7423', '0.0.0.0:7424'])
  assert.ok(!config.stateDir.startsWith(`${config.dir}/`))
})

test('what is set is read, the rate in MiB', () => {
  const config = read(
    '[vault]\ndir = "/srv/vault"\nmax_sessions = 2\nreserve_percent = 10\n[scrub]\nschedule = "0 3 1 * *"\nrate_mib = 2\n[cleaning]\nschedule = "30 6 * * *"',
  )
  assert.equal(config.dir, '/srv/vault')
  assert.deepEqual([config.maxSessions, config.reservePercent], [2, 10])
  assert.deepEqual(config.scrub, { schedule: parseCron('0 3 1 * *'), rateBytes: 2 * 1024 * 1024 })
  assert.deepEqual(config.cleaning, { schedule: parseCron('30 6 * * *') })
})

test('every problem is told at once, spelled as in the file', () => {
  assert.throws(
    () =>
      read(
        '[vault]\ndir = "here"\nreserve_percent = 90\nretention = 3\n[listen]\ndoor = "7424"\n[cleaning]\nschedule = "daily"',
      ),
    (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'bad-config')
      for (const key of [
        'vault.dir',
        'vault.reserve_percent',
        'vault.retention',
        'listen.door',
        'cleaning.schedule',
      ])
        assert.ok(
          error.details.some(line => line.startsWith(key)),
          `${key} in ${error.details.join('; ')}`,
        )
      return true
    },
  )
})

test('the identity may not lie among the backups, which are copied and carried away', () => {
  assert.throws(
    () => read('[vault]\ndir = "/srv/vault"\n[state]\ndir = "/srv/vault/service"'),
    (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'bad-config')
      assert.match(error.details.join(), /^state\.dir: must not lie below vault\.dir/)
      return true
    },
  )
})
