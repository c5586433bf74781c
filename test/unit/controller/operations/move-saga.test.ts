import assert from 'node:assert/strict'
import { test } from 'node:test'
import { moveSaga } from '../../../../controller/operations/move-saga.ts'
import { runSagaBattery } from '../../../crash/saga-battery.ts'
import { createHastyClock } from '../../../fakes/manual-clock.ts'
import { createMoveWorld, MOVED } from './move-world.ts'

const PARAMS = {
  vmId: MOVED.id,
  vm: MOVED.name,
  from: 'blade01',
  to: 'blade02',
  method: 'live',
  override: false,
  graceMs: 1000,
  deadlineAt: 1_000_000 + 3_600_000,
}

test('a move survives a crash, a failure, a repetition and an abort at every step, and never runs the VM twice', async () => {
  const report = await runSagaBattery({
    definition: moveSaga,
    params: PARAMS,
    createWorld: () => createMoveWorld('battery-1', createHastyClock(1_000_000, 60_000)),
  })
  assert.ok(report.runs.length > 40, `${report.runs.length} runs`)
})

test('a journal of an unknown shape is refused with every field that is wrong', () => {
  assert.throws(
    () => moveSaga.parseParams({ ...PARAMS, method: 'teleport', vm: 7 }),
    (error: { details: string[] }) => {
      assert.equal(error.details.length, 2)
      return true
    },
  )
})
