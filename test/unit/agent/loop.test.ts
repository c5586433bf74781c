import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLoop } from '../../../agent/loop.ts'
import { createManualClock, settle } from '../../fakes/manual-clock.ts'

function counting(bodyMs = 0) {
  const clock = createManualClock(0)
  let runs = 0
  const loop = startLoop({
    clock,
    intervalMs: 60_000,
    gatherMs: 100,
    body: async () => {
      runs += 1
      if (bodyMs > 0) await clock.sleep(bodyMs)
    },
  })
  return { clock, loop, runs: () => runs }
}

test('runs at once, and then by its interval', async () => {
  const { clock, loop, runs } = counting()
  await settle()
  assert.equal(runs(), 1)
  await clock.advance(59_999)
  assert.equal(runs(), 1)
  await clock.advance(1)
  assert.equal(runs(), 2)
  await loop.stop()
})

test('a nudge runs it soon, and many nudges run it once', async () => {
  const { clock, loop, runs } = counting()
  await settle()
  for (let count = 0; count < 5; count++) loop.nudge()
  await clock.advance(99)
  assert.equal(runs(), 1)
  await clock.advance(1)
  assert.equal(runs(), 2)
  await clock.advance(1000)
  assert.equal(runs(), 2)
  await loop.stop()
})

test('nudged while it works it rests four times as long as it took, then runs once more', async () => {
  const { clock, loop, runs } = counting(400)
  await settle()
  loop.nudge()
  await clock.advance(400)
  await clock.advance(1599)
  assert.equal(runs(), 1)
  await clock.advance(1)
  assert.equal(runs(), 2)
  const stopped = loop.stop()
  await clock.advance(400)
  await stopped
})
