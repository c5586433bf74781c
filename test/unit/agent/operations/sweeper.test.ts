import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planSweep } from '../../../../agent/operations/sweeper.ts'

const row = (path: string, expiresAt: number) => ({
  path,
  moveId: 'm1',
  vmName: 'web01',
  sizeBytes: 1,
  expiresAt,
})
const volume = (path: string) => ({ path, moveId: 'm1', pool: 'vg0', sizeBytes: 1 })

test('a kept volume is dropped when its grace time is over, not before', () => {
  const plan = planSweep([row('/dev/a', 100), row('/dev/b', 101)], [volume('/dev/a'), volume('/dev/b')], 100)
  assert.deepEqual(
    plan.drop.map(each => each.path),
    ['/dev/a'],
  )
  assert.deepEqual([plan.found, plan.forget], [[], []])
})

test('a kept volume that nobody remembers is found, and gets a grace time of its own', () => {
  const plan = planSweep([], [volume('/dev/a')], 100)
  assert.deepEqual(
    plan.found.map(each => each.path),
    ['/dev/a'],
  )
  assert.deepEqual(plan.drop, [])
})

test('a row whose volume somebody removed is forgotten, not dropped', () => {
  const plan = planSweep([row('/dev/a', 1)], [], 100)
  assert.deepEqual(
    plan.forget.map(each => each.path),
    ['/dev/a'],
  )
  assert.deepEqual(plan.drop, [])
})
