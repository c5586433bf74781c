import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootTest } from '../../../../agent/backup/boot-test-saga.ts'
import { unfitness } from '../../../../agent/backup/restore-fit.ts'
import { restoreVm } from '../../../../agent/backup/restore-saga.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import type { Json } from '../../../../shared/saga/definition.ts'
import { createSagaJournal, SAGA_TABLES_SQL } from '../../../../shared/saga/journal.ts'
import { createSagaRunner } from '../../../../shared/saga/runner.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import {
  BOOT_PARAMS,
  NEW_DISK,
  NEW_ID,
  POINT_NAME,
  RESTORE_PARAMS,
  restoreWorld,
  SNAPSHOT_AT,
} from '../../../fakes/backup-sagas.ts'
import { createHastyClock } from '../../../fakes/manual-clock.ts'
import { type TwoBlades, VM_ID } from '../operations/two-blades.ts'

async function run(world: TwoBlades, kind: 'restore-vm' | 'boot-test', change: object = {}) {
  const clock = createHastyClock(SNAPSHOT_AT, 60_000)
  const db = openDatabase(':memory:', [{ version: 1, name: 'sagas', sql: SAGA_TABLES_SQL }])
  const runner = createSagaRunner({
    journal: createSagaJournal(db),
    clock,
    log: silentLogger,
    servicesFor: () => ({ ...world.source.services, clock }),
    onChange: () => {},
  })
  runner.register(restoreVm)
  runner.register(bootTest)
  const base = kind === 'restore-vm' ? RESTORE_PARAMS : BOOT_PARAMS
  runner.start(kind, 'r', { ...base, ...change } as unknown as Json, RESTORE_PARAMS.deadlineAt)
  return await runner.whenEnded('r')
}

function nothingOfIt(world: TwoBlades): void {
  assert.equal(world.source.vms.has(NEW_ID), false)
  assert.equal(world.source.volumes.has(NEW_DISK), false)
  assert.equal(world.vault.open, 0)
}

test('a boot test drops no volume that was kept after a move (rule 3); a restore may', async () => {
  for (const [kind, sparesKept] of [
    ['boot-test', true],
    ['restore-vm', false],
  ] as const) {
    const world = restoreWorld()
    const { volumes } = world.source.services
    const { create } = volumes
    const asked: unknown[] = []
    volumes.create = async (volume, moveId, by, how) => {
      asked.push(how?.sparesKept ?? false)
      return await create(volume, moveId, by, how)
    }
    await run(world, kind)
    assert.deepEqual(asked, [sparesKept], kind)
  }
})

test('damaged data is refused before the target is touched', async () => {
  const world = restoreWorld()
  world.vault.damaged = ['ab'.repeat(32)]
  const view = await run(world, 'restore-vm')
  assert.equal(view.errorCode, 'refused')
  assert.match(view.error, /damaged: 1 of 10 chunks.*abab/)
  assert.equal(view.steps[1]?.state, 'planned')
  nothingOfIt(world)
})

test('a VM of that id or name on this blade is not overwritten', async () => {
  const byName = restoreWorld()
  byName.source.vms.set('another', { state: 'stopped', autostart: false, incoming: false, name: 'db01-copy' })
  assert.equal((await run(byName, 'restore-vm')).errorCode, 'already-exists')
  const byId = restoreWorld()
  assert.equal((await run(byId, 'restore-vm', { vmId: VM_ID })).errorCode, 'already-exists')
})

test("somebody's volume in its place is not overwritten", async () => {
  const world = restoreWorld()
  world.source.volumes.set(NEW_DISK, { content: 'precious', move: '', kept: '' })
  const view = await run(world, 'restore-vm')
  assert.equal(view.state, 'undone')
  assert.equal(view.errorCode, 'already-exists')
  assert.equal(world.source.volumes.get(NEW_DISK)?.content, 'precious')
})

test('a VM that came by hand while its disks were written is not overwritten', async () => {
  const world = restoreWorld()
  world.vault.onTransfer = async () => {
    world.source.vms.set(NEW_ID, { state: 'running', autostart: false, incoming: false, name: 'by hand' })
  }
  const view = await run(world, 'restore-vm')
  assert.equal(view.state, 'undone')
  assert.equal(view.errorCode, 'already-exists')
  assert.equal(world.source.vms.get(NEW_ID)?.name, 'by hand')
  assert.equal(world.source.volumes.has(NEW_DISK), false)
})

test('restored, not started: it is defined and off', async () => {
  const world = restoreWorld()
  assert.equal((await run(world, 'restore-vm', { start: false })).state, 'done')
  assert.equal(world.source.vms.get(NEW_ID)?.state, 'stopped')
})

test('one volume alone: the volume is there, no VM, no epoch, and a name that is taken is no obstacle', async () => {
  const world = restoreWorld()
  assert.equal(
    (await run(world, 'restore-vm', { onlyDisk: 'vda', vmId: VM_ID, vmName: 'db01' })).state,
    'done',
  )
  assert.deepEqual(world.source.volumes.get(NEW_DISK), { content: 'the data', move: '', kept: '' })
  assert.equal(world.source.vms.has(NEW_ID), false)
  assert.equal(world.source.services.marks.of(VM_ID).epoch, 0)
})

test('a start that fails leaves the restored VM for a person to look at', async () => {
  const world = restoreWorld()
  const { hypervisor } = world.source.services
  hypervisor.start = async () => {
    throw new LifeboatError('command-failed', 'no such machine type')
  }
  const view = await run(world, 'restore-vm')
  assert.equal(view.state, 'needs-admin')
  assert.match(view.error, /no such machine type/)
  assert.equal(world.source.volumes.get(NEW_DISK)?.content, 'the data')
})

test('a boot test tells how long a recovery takes', async () => {
  const world = restoreWorld()
  world.source.signs = { agent: false, consoleBytes: 0 }
  const { hypervisor } = world.source.services
  let looks = 0
  hypervisor.signsOfLife = async () => ({ agent: ++looks > 10, consoleBytes: 0 })
  const view = await run(world, 'boot-test')
  assert.equal(view.state, 'done')
  // Ten looks of a second; nothing else takes time here.
  assert.deepEqual(view.results.boot, { recoveryMs: 10_000, sign: 'its guest agent answers' })
  nothingOfIt(world)
})

test('no sign of life within its limit: undone, with the reason, and nothing is left', async () => {
  const world = restoreWorld()
  world.source.signs = { agent: false, consoleBytes: 40 }
  const view = await run(world, 'boot-test')
  assert.equal(view.state, 'undone')
  assert.equal(view.errorCode, 'timeout')
  assert.match(view.error, /no sign of life within 1 min \(40 bytes on its console/)
  nothingOfIt(world)
})

test('a guest that dies in its boot is not waited for', async () => {
  const world = restoreWorld()
  world.source.signs = { agent: false, consoleBytes: 0 }
  const { hypervisor } = world.source.services
  const look = hypervisor.signsOfLife
  hypervisor.signsOfLife = async id => {
    const vm = world.source.vms.get(id)
    if (vm !== undefined) vm.state = 'stopped'
    return await look(id)
  }
  const view = await run(world, 'boot-test')
  assert.match(view.error, /is stopped after its start/)
  nothingOfIt(world)
})

test('only a VM under the name of a test is tested', async () => {
  await assert.rejects(run(restoreWorld(), 'boot-test', { vmName: 'db01' }), { code: 'bad-input' })
})

test('what does not fit is named, all of it', () => {
  const manifest = restoreWorld().vault.points.get(`${VM_ID}/${POINT_NAME}`)?.manifest
  assert.ok(manifest)
  const [volume] = RESTORE_PARAMS.volumes
  const wanted = (...volumes: object[]) => ({ volumes: volumes as never, definesVm: true })
  assert.deepEqual(unfitness(manifest, wanted(volume)), [])
  assert.match(
    unfitness(manifest, wanted({ ...volume, sizeBytes: 63 })).join(),
    /64 B, the volume for it 63 B/,
  )
  assert.match(unfitness(manifest, wanted({ ...volume, format: 'qcow2' })).join(), /is raw/)
  assert.match(unfitness(manifest, wanted(volume, { ...volume, target: 'vdb' })).join(), /no disk vdb/)
  assert.match(unfitness(manifest, wanted()).join(), /no volume for its disk vda/)
  assert.match(unfitness({ ...manifest, definition: '' }, wanted(volume)).join(), /without a definition/)
})
