import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutToWidth, renderNPlusOne } from '../../../../controller/cli/render.ts'

test('a progress line never fills its row: one that wraps could not be rewritten', () => {
  assert.equal(cutToWidth('o7 move mail01', 80), 'o7 move mail01')
  assert.equal(cutToWidth('123456789', 10), '123456789')
  assert.equal(cutToWidth('1234567890', 10), '12345678…')
  for (const columns of [1, 2, 20]) {
    assert.ok(cutToWidth('x'.repeat(200), columns).length <= Math.max(1, columns - 1), String(columns))
  }
})

test('whether any one blade may fail is a sentence, now and after a plan', () => {
  const kept = { kept: true, text: 'any one blade may fail', notSurvivable: [] }
  assert.equal(renderNPlusOne(kept), 'Any one blade may fail.')
  const lost = { kept: false, text: 'a failure would leave VMs: b1 (a)', notSurvivable: ['b1'] }
  assert.equal(renderNPlusOne(lost, 'afterwards '), 'Afterwards a failure would leave VMs: b1 (a).')
})
