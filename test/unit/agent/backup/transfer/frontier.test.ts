import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFrontier } from '../../../../../agent/backup/transfer/frontier.ts'

test('a frontier stands before the first part that is not written, whatever is written behind it', async () => {
  const frontier = createFrontier(new AbortController().signal)
  const [first, second, third] = [frontier.begin(10), frontier.begin(20), frontier.begin(35)]
  let reached = ''
  const waits = [10, 20, 21].map(bytes => frontier.reach(bytes).then(() => (reached += `${bytes} `)))
  third()
  second()
  await frontier.reach(0)
  assert.equal(frontier.reachedBytes, 0)
  assert.equal(reached, '')
  first()
  assert.equal(frontier.reachedBytes, 35)
  await Promise.all(waits)
  assert.equal(reached, '10 20 21 ')
})

test('nobody waits at a frontier after the end', async () => {
  const stop = new AbortController()
  const frontier = createFrontier(stop.signal)
  frontier.begin(10)()
  const waiting = frontier.reach(11)
  stop.abort(new Error('over'))
  await assert.rejects(waiting, /over/)
  await assert.rejects(frontier.reach(5), /over/)
})
