import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createExecutionLedger } from '../../../../agent/sim/ledger.ts'

it('a VM that stops here and goes on there at the same step breaks nothing', () => {
  const ledger = createExecutionLedger()
  ledger.began('id', 'web01', 'blade01', 0, 1000)
  assert.deepEqual(ledger.executingOn('id'), ['blade01'])
  ledger.ended('id', 'blade01', 7, 1400)
  assert.deepEqual(ledger.executingOn('id'), [])
  ledger.began('id', 'web01', 'blade02', 7, 1450)
  assert.deepEqual(ledger.executingOn('id'), ['blade02'])
  assert.deepEqual(ledger.violations(), [])
})

it('a VM that runs on two blades at once is caught, by both names', () => {
  const ledger = createExecutionLedger()
  ledger.began('id', 'web01', 'blade01', 0, 1000)
  ledger.began('id', 'web01', 'blade02', 0, 1001)
  assert.deepEqual(ledger.executingOn('id'), ['blade01', 'blade02'])
  assert.deepEqual(ledger.violations(), ['web01 began on blade02 while it ran on blade01 (rule 1)'])
})

it('lost steps and skipped steps are told apart', () => {
  const ledger = createExecutionLedger()
  ledger.began('id', 'web01', 'blade01', 0, 1000)
  ledger.ended('id', 'blade01', 7, 1400)
  ledger.began('id', 'web01', 'blade02', 5, 1450)
  ledger.ended('id', 'blade02', 8, 1500)
  ledger.began('id', 'web01', 'blade01', 9, 1550)
  assert.deepEqual(ledger.violations(), [
    'web01 ended on blade01 at step 7, began on blade02 at 5: steps are lost and will be doubled',
    'web01 ended on blade02 at step 8, began on blade01 at 9: steps are skipped',
  ])
})
