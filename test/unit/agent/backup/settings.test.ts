import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modeOf, NO_BACKUPS, scheduleOf } from '../../../../agent/backup/settings.ts'
import { readBackupSettings } from '../../../../agent/session/read-backup-settings.ts'
import { createBackupStore } from '../../../../agent/store/backup-store.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import { BackupSettings } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'

const ID = '22222222-2222-4222-8222-222222222222'

function wire(change: Partial<BackupSettings> = {}): BackupSettings {
  return {
    ...BackupSettings.fromPartial({
      vault: { name: 'depot', address: 'depot:7424' },
      schedule: '0 2 * * *',
      jitterMs: 3_600_000,
      mode: 'freeze',
      pauseBudgetMs: 5000,
      vms: [{ vmId: ID, schedule: '30 3 * * 0', mode: '' }],
    }),
    ...change,
  }
}

test("a VM's own setting comes before the default, an empty one does not", () => {
  const settings = readBackupSettings(wire())
  assert.equal(modeOf(settings, ID), 'freeze')
  assert.equal(scheduleOf(settings, ID), '30 3 * * 0')
  assert.equal(scheduleOf(settings, 'another'), '0 2 * * *')
})

test('settings with anything wrong in them are not taken at all, and every fault is named', () => {
  const bad = wire({
    mode: 'quick',
    schedule: 'nightly',
    vms: [{ vmId: ID, schedule: '61 2 * * *', mode: 'no' }],
  })
  assert.throws(
    () => readBackupSettings(bad),
    error => error instanceof LifeboatError && error.code === 'bad-input' && error.details.length === 4,
  )
})

test('a pause nobody would bear is a mistake', () => {
  assert.throws(() => readBackupSettings(wire({ pauseBudgetMs: 600_000 })), { code: 'bad-input' })
})

test('settings are kept whole, survive a restart, and say whether anything is new', () => {
  const db = openDatabase(':memory:', AGENT_MIGRATIONS)
  const store = createBackupStore(db)
  assert.deepEqual(store.settings(), NO_BACKUPS)
  assert.equal(store.putSettings(readBackupSettings(wire())), true)
  assert.equal(store.putSettings(readBackupSettings(wire())), false)
  assert.deepEqual(createBackupStore(db).settings(), readBackupSettings(wire()))
  assert.equal(store.putSettings(readBackupSettings(wire({ vault: undefined }))), true)
  assert.equal(store.settings().vault, undefined)
})

test('outcomes: failures add up until one succeeds; the last success counts, whatever a wrong clock said before', () => {
  const store = createBackupStore(openDatabase(':memory:', AGENT_MIGRATIONS))
  store.meet(ID, 100)
  store.meet(ID, 900)
  const fail = (endedAt: number) => store.record({ vmId: ID, endedAt, point: '', at: 0, error: 'full' })
  fail(200)
  fail(300)
  assert.deepEqual(store.history(ID), { knownSince: 100, lastAttemptAt: 300, lastSuccessAt: 0, failures: 2 })
  store.record({ vmId: ID, endedAt: 400, point: 'p', at: 390, error: '' })
  store.record({ vmId: ID, endedAt: 500, point: 'q', at: 380, error: '' })
  assert.deepEqual(store.history(ID), {
    knownSince: 100,
    lastAttemptAt: 500,
    lastSuccessAt: 380,
    failures: 0,
  })
  store.forgetOthers([])
  assert.equal(store.history(ID), undefined)
})
