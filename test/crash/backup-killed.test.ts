import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backupVm } from '../../agent/backup/backup-saga.ts'
import { bootTest } from '../../agent/backup/boot-test-saga.ts'
import { releaseKilledBackups } from '../../agent/backup/recovery.ts'
import type { OperationServices } from '../../agent/operations/services.ts'
import { silentLogger } from '../../shared/log.ts'
import { createSagaJournal, SAGA_TABLES_SQL, type SagaJournal } from '../../shared/saga/journal.ts'
import { createSagaRunner } from '../../shared/saga/runner.ts'
import { openDatabase } from '../../shared/sqlite.ts'
import {
  BACKUP_PARAMS,
  BOOT_PARAMS,
  backupWorld,
  NEW_DISK,
  NEW_ID,
  recoveryOf,
  restoreWorld,
  SNAPSHOT_AT,
} from '../fakes/backup-sagas.ts'
import { createHastyClock } from '../fakes/manual-clock.ts'
import { DISK, type TwoBlades, VM_ID } from '../unit/agent/operations/two-blades.ts'
import { type Crash, createDyingJournal } from './saga-battery.ts'

// The agent dies around every write of its journal, and the next one begins as agents do: it releases what was killed,
// and only then takes up its orders.

const PATIENCE_MS = 60_000

function boot(world: TwoBlades, journal: SagaJournal) {
  const clock = createHastyClock(SNAPSHOT_AT, PATIENCE_MS)
  const services: OperationServices = { ...world.source.services, clock }
  const runner = createSagaRunner({
    journal,
    clock,
    log: silentLogger,
    servicesFor: () => services,
    onChange: view => {
      if (view.endedAt > 0) services.turns.leave(view.id)
    },
  })
  runner.register(backupVm)
  runner.register(bootTest)
  return runner
}

/** Runs one saga until the crash. False: it ended before that write came. */
async function runUntilKilled(
  world: TwoBlades,
  disk: SagaJournal,
  saga: { kind: string; params: object; deadlineAt: number },
  crash: Crash,
): Promise<boolean> {
  const dying = createDyingJournal(disk, crash)
  const runner = boot(world, dying.journal)
  runner.start(saga.kind, 'killed', saga.params as never, saga.deadlineAt)
  const ended = runner.whenEnded('killed').then(
    () => 'ended' as const,
    () => 'killed' as const,
  )
  const how = await Promise.race([ended, dying.died.then(() => 'killed' as const)])
  await runner.close()
  // What the dead process knew is gone with it.
  world.source.services.changedRanges.clear()
  world.source.services.turns.leave('killed')
  return how === 'killed'
}

function newDisk(): SagaJournal {
  return createSagaJournal(openDatabase(':memory:', [{ version: 1, name: 'sagas', sql: SAGA_TABLES_SQL }]))
}

/** Each journal write there is, before and after it; returns how many there were. */
async function atEveryWrite(story: (crash: Crash) => Promise<boolean>): Promise<number> {
  for (let write = 1; ; write++) {
    const wasKilled = await story({ write, when: 'before' })
    if (!wasKilled) return write - 1
    await story({ write, when: 'after' })
  }
}

function assertAtEase(world: TwoBlades, crash: Crash): void {
  const where = `killed ${crash.when} write ${crash.write}`
  assert.equal(world.source.vms.get(VM_ID)?.state, 'running', `${where}: the VM must run`)
  assert.deepEqual([...world.source.snapshots.held], [], `${where}: a guest stands`)
  assert.deepEqual([...world.source.snapshots.taken.keys()], [], `${where}: a snapshot is left`)
  assert.equal(world.source.volumes.get(DISK)?.content, 'the data')
}

for (const vaultIsAway of [false, true]) {
  const when = vaultIsAway ? 'and the vault is away since' : 'and the vault is there'
  test(`killed at every write of a backup, ${when}: released at once, and the next run works`, async () => {
    const writes = await atEveryWrite(async crash => {
      const world = backupWorld()
      const disk = newDisk()
      const saga = { kind: 'backup-vm', params: BACKUP_PARAMS, deadlineAt: BACKUP_PARAMS.deadlineAt }
      if (!(await runUntilKilled(world, disk, saga, crash))) return false
      if (vaultIsAway) world.vault.state = 'unavailable'

      const runner = boot(world, disk)
      await releaseKilledBackups(recoveryOf(world.source, disk, id => runner.view(id)))
      assertAtEase(world, crash)
      runner.resume()
      const view =
        disk.load('killed')?.endedAt === 0 ? await runner.whenEnded('killed') : runner.view('killed')
      assert.ok(view?.state === 'done' || view?.state === 'undone', `ended ${view?.state}: ${view?.error}`)
      assertAtEase(world, crash)
      // What is listed is whole; what says done is listed.
      for (const { disks } of world.vault.points.values()) assert.equal(disks.get('vda'), 'the data')
      if (view.state === 'done') assert.equal(world.vault.points.size, 1)

      world.vault.state = 'up'
      runner.start('backup-vm', 'next', BACKUP_PARAMS, BACKUP_PARAMS.deadlineAt)
      assert.equal((await runner.whenEnded('next')).state, 'done')
      assertAtEase(world, crash)
      await runner.close()
      return true
    })
    assert.ok(writes >= 9, `only ${writes} writes`)
  })
}

test('killed at every write of a boot test: nothing of its VM is left, and the next one works', async () => {
  const writes = await atEveryWrite(async crash => {
    const world = restoreWorld()
    const disk = newDisk()
    const saga = { kind: 'boot-test', params: BOOT_PARAMS, deadlineAt: BOOT_PARAMS.deadlineAt }
    if (!(await runUntilKilled(world, disk, saga, crash))) return false
    const runner = boot(world, disk)
    await releaseKilledBackups(recoveryOf(world.source, disk, id => runner.view(id)))
    runner.resume()
    if (disk.load('killed')?.endedAt === 0) await runner.whenEnded('killed')
    const nothingLeft = () => {
      assert.equal(world.source.vms.has(NEW_ID), false, `killed ${crash.when} write ${crash.write}`)
      assert.equal(world.source.volumes.has(NEW_DISK), false, `killed ${crash.when} write ${crash.write}`)
    }
    nothingLeft()
    runner.start('boot-test', 'next', BOOT_PARAMS as never, BOOT_PARAMS.deadlineAt)
    assert.equal((await runner.whenEnded('next')).state, 'done')
    nothingLeft()
    await runner.close()
    return true
  })
  assert.ok(writes >= 13, `only ${writes} writes`)
})
