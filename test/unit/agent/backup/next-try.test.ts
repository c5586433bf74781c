import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backupEnded, type EndedOptions } from '../../../../agent/backup/ended.ts'
import { nextTryWords } from '../../../../agent/backup/next-try.ts'
import { type BackupSettings, NO_BACKUPS } from '../../../../agent/backup/settings.ts'
import { createBackupStore } from '../../../../agent/store/backup-store.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../shared/domain/units.ts'
import { silentLogger } from '../../../../shared/log.ts'
import type { SagaView } from '../../../../shared/saga/definition.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'

const VM = '10000000-0000-4000-8000-000000000000'
const SETTINGS: BackupSettings = {
  ...NO_BACKUPS,
  vault: { name: 'depot', address: '192.0.2.20:7424' },
  // The same moment wherever the test runs.
  schedule: '* * * * *',
  mode: 'pause',
}
const NOW = Date.UTC(2026, 10, 28, 2, 16)
const HISTORY = { knownSince: 0, lastAttemptAt: NOW, lastSuccessAt: NOW - 24 * HOUR_MS, failures: 1 }

test('after a failure it is told when it is tried again, and what there is until then', () => {
  assert.equal(
    nextTryWords(VM, SETTINGS, HISTORY, NOW),
    '; tried again by itself at 2026-11-28 02:26 UTC, until then its newest restore point is of 2026-11-27 02:16 UTC',
  )
  assert.match(
    nextTryWords(VM, SETTINGS, { ...HISTORY, lastSuccessAt: 0, failures: 2 }, NOW),
    /at 2026-11-28 02:46 UTC, until then this blade has made no restore point of it yet$/,
  )
})

test('where nothing is tried again nothing is promised', () => {
  assert.equal(nextTryWords(VM, { ...SETTINGS, mode: 'off' }, HISTORY, NOW), '')
  assert.equal(nextTryWords(VM, { ...SETTINGS, vault: undefined }, HISTORY, NOW), '')
  assert.equal(nextTryWords(VM, SETTINGS, undefined, NOW), '')
})

test('the blade logs it with the failure; what the controller is told has no time that moves', () => {
  const store = createBackupStore(openDatabase(':memory:', AGENT_MIGRATIONS))
  store.putSettings(SETTINGS)
  store.meet(VM, NOW - HOUR_MS)
  const lines: string[] = []
  const told: string[] = []
  const error = 'vault depot does not answer'
  const view = { id: 'b-1', params: { vmId: VM, vmName: 'web01' }, state: 'undone', error, endedAt: NOW }
  const options = {
    store,
    orders: { load: () => undefined, dropCommands: () => {} },
    journal: { list: () => [], forget: () => {} },
    tell: (...words: string[]) => told.push(words.join(' ')),
    clock: createManualClock(NOW + MINUTE_MS),
    log: { ...silentLogger, warn: (line: string) => lines.push(line) },
  }
  backupEnded(
    { ...view, results: {}, errorCode: 'unavailable' } as unknown as SagaView,
    options as unknown as EndedOptions,
  )
  assert.match(
    lines.join(),
    /^vm web01: backup undone \(vault depot does not answer\); tried again by itself at 2026-11-28 02:26 UTC, /,
  )
  assert.deepEqual(told, [`backup-failed web01 ${error}`])
})
