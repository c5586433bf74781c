import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backupSaga } from '../../../../controller/operations/backup-saga.ts'
import { bootTestSaga } from '../../../../controller/operations/boot-test-saga.ts'
import { restoreSaga } from '../../../../controller/operations/restore-saga.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { errorCode } from '../../../../shared/errors.ts'
import type { Json } from '../../../../shared/saga/definition.ts'
import { runSagaBattery } from '../../../crash/saga-battery.ts'
import { createHastyClock } from '../../../fakes/manual-clock.ts'
import { createPointWorld, POINT, SAVED } from './point-world.ts'

const DEADLINE_AT = 1_000_000 + 3_600_000
const ID = '00000000-0000-4000-8000-0000000000ff'

/** As the placement would make it. */
function planOf(name: string): Json {
  const { incoming: _incoming, ...vm } = SAVED
  const volumes = vm.volumes.map(volume => ({ ...volume, path: `/dev/vg0/${name}` }))
  return { ...vm, id: ID, name, volumes, blade: '', operation: '', seenAt: 0 } as unknown as Json
}
const fromPoint = (name: string) => ({
  vmId: ID,
  vm: name,
  to: 'blade02',
  vault: 'depot',
  pointVmId: SAVED.id,
  pointVm: SAVED.name,
  point: POINT,
  plan: planOf(name),
  override: false,
  deadlineAt: DEADLINE_AT,
})
const clock = () => createHastyClock(1_000_000, 60_000)

test('a restore survives a crash, a failure, a repetition and an abort at every step', async () => {
  const report = await runSagaBattery({
    definition: restoreSaga,
    params: { ...fromPoint('web02'), newIdentity: true, start: true, onlyDisk: '' },
    createWorld: () => {
      const world = createPointWorld('restore', 'battery-1', clock())
      return {
        ...world,
        check: state => {
          world.noReservation()
          // An abort may come too late for the agent; then the VM is there, and the operation says so by being done.
          if (state === 'done') assert.equal(world.store.vms.get(ID)?.placedOn, 'blade02')
          else assert.equal(world.store.vms.get(ID)?.placedVm, undefined)
        },
      }
    },
  })
  assert.ok(report.runs.length > 25, `${report.runs.length} runs`)
})

test('a boot test likewise; what it found is kept once, however often it is told', async () => {
  const report = await runSagaBattery({
    definition: bootTestSaga,
    params: { ...fromPoint('lifeboat-test-01234567'), bootLimitMs: 300_000, sign: 'any' },
    createWorld: () => {
      const world = createPointWorld('boot-test', 'battery-1', clock())
      return {
        ...world,
        check: state => {
          world.noReservation()
          const tests = world.store.backups.bootTests()
          if (state === 'done')
            assert.deepEqual(
              tests.map(each => [each.ok, each.recoveryMs]),
              [[true, 42_000]],
            )
          assert.ok(tests.length <= 1)
          assert.equal(world.store.vms.get(ID), undefined, 'its VM is none of the fleet')
        },
      }
    },
  })
  assert.ok(report.runs.length > 25, `${report.runs.length} runs`)
})

test('right before it begins, the room of kept volumes still is none for a boot test', async () => {
  const outcomes = []
  for (const saga of [restoreSaga, bootTestSaga]) {
    const { services, store } = createPointWorld('boot-test', 'o1', clock())
    const report = store.blades.get('blade02')?.report ?? assert.fail('no report')
    const pools = report.capacity?.pools.map(pool => ({ ...pool, freeBytes: 0, reclaimableBytes: 80 * GIB }))
    const capacity = { ...(report.capacity ?? assert.fail()), pools: pools ?? [] }
    services.fleet.accept('blade02', { ...report, capacity }, 1_000_000)
    const [admit] = saga.steps
    const params = { ...fromPoint('web02'), newIdentity: true, start: true, onlyDisk: '' }
    const context = { params, services, sagaId: 'o1', results: {}, progress: () => {} }
    const begun = admit?.do({ ...context, signal: new AbortController().signal } as never)
    outcomes.push(await begun?.then(() => 'admitted', errorCode))
  }
  assert.deepEqual(outcomes, ['admitted', 'refused'])
})

test('a backup likewise: one order, one outcome', async () => {
  const report = await runSagaBattery({
    definition: backupSaga,
    params: {
      vmId: SAVED.id,
      vm: SAVED.name,
      blade: 'blade01',
      mode: '',
      force: false,
      deadlineAt: DEADLINE_AT,
    },
    createWorld: () => {
      const world = createPointWorld('backup', 'battery-1', clock())
      return {
        ...world,
        check: state => {
          const outcomes = world.store.backups.outcomes()
          if (state === 'done')
            assert.deepEqual(
              outcomes.map(each => each.ok),
              [true],
            )
          assert.ok(outcomes.length <= 1)
          assert.equal(world.store.vms.get(SAVED.id)?.epoch, 0, 'a backup gives no right to start anything')
        },
      }
    },
  })
  assert.ok(report.runs.length > 15, `${report.runs.length} runs`)
})

test('a journal of an unknown shape is refused', () => {
  for (const saga of [restoreSaga, bootTestSaga, backupSaga]) {
    assert.throws(() => saga.parseParams({ vmId: 7 }), { code: 'bad-input' })
  }
})
