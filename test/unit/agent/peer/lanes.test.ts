import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLanes } from '../../../../agent/peer/lanes.ts'

test('one at a time per key, in order, and a failure stops nobody', async () => {
  const lanes = createLanes()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = lanes.run('vm1', async () => {
    await gate.promise
    seen.push('first')
    throw new Error('first fails')
  })
  const second = lanes.run('vm1', async () => void seen.push('second'))
  await lanes.run('vm2', async () => void seen.push('other VM'))
  gate.resolve()
  await assert.rejects(first, /first fails/)
  await second
  assert.deepEqual(seen, ['other VM', 'first', 'second'])
})
