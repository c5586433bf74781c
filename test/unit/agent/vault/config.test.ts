import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { defaultVaultConfig, readVaultConfig } from '../../../../agent/vault/config.ts'
import { isDue } from '../../../../agent/vault/due.ts'

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
    '[vault]\ndir = "/srv/vault"\nmax_sessions = 2\nreserve_percent = 10\n[scrub]\nevery_days = 30\nhour = 3\nrate_mib = 2\n[cleaning]\nhour = 6',
  )
  assert.equal(config.dir, '/srv/vault')
  assert.deepEqual([config.maxSessions, config.reservePercent], [2, 10])
  assert.deepEqual(config.scrub, { everyDays: 30, hour: 3, rateBytes: 2 * 1024 * 1024 })
  assert.deepEqual(config.cleaning, { everyDays: 1, hour: 6 })
})

test('every problem is told at once, spelled as in the file', () => {
  assert.throws(
    () =>
      read(
        '[vault]\ndir = "here"\nreserve_percent = 90\nretention = 3\n[listen]\ndoor = "7424"\n[cleaning]\nhour = 24',
      ),
    (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'bad-config')
      for (const key of [
        'vault.dir',
        'vault.reserve_percent',
        'vault.retention',
        'listen.door',
        'cleaning.hour',
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

const at = (text: string) => new Date(text).getTime()

test('a daily task is due once after its hour, also when that hour was missed', () => {
  const noon = { everyDays: 1, hour: 12 }
  assert.equal(isDue(noon, 0, at('2026-11-28T08:00')), true, 'never done')
  assert.equal(isDue(noon, at('2026-11-27T12:00'), at('2026-11-28T11:59')), false)
  assert.equal(isDue(noon, at('2026-11-27T12:00'), at('2026-11-28T12:00')), true)
  assert.equal(isDue(noon, at('2026-11-28T12:00'), at('2026-11-28T23:00')), false)
  assert.equal(isDue(noon, at('2026-11-20T12:00'), at('2026-11-28T08:00')), true, 'the host was off')
})

test('a weekly task waits its days, counted by the calendar', () => {
  const weekly = { everyDays: 7, hour: 9 }
  assert.equal(isDue(weekly, at('2026-11-21T09:00'), at('2026-11-28T08:59')), false)
  assert.equal(isDue(weekly, at('2026-11-21T09:00'), at('2026-11-28T09:00')), true)
  assert.equal(
    isDue(weekly, at('2026-11-21T14:00'), at('2026-11-28T09:00')),
    true,
    'begun late, not later each week',
  )
})
