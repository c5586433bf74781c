import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCrew } from '../../../../../agent/backup/transfer/crew.ts'
import { createPool } from '../../../../../agent/backup/transfer/pool.ts'
import { createRecentIds } from '../../../../../agent/backup/transfer/recent-ids.ts'
import { createSlab } from '../../../../../agent/backup/transfer/slabs.ts'
import { createRate } from '../../../../../agent/rate.ts'
import { createManualClock, settle } from '../../../../fakes/manual-clock.ts'

test('what a pool lends is waited for in turn, and nobody waits after the end', async () => {
  const stop = new AbortController()
  const pool = createPool(['a'], stop.signal)
  assert.equal(await pool.take(), 'a')
  const turns = [pool.take(), pool.take()]
  pool.give('a')
  assert.equal(await turns[0], 'a')
  stop.abort(new Error('over'))
  await assert.rejects(turns[1] as Promise<string>, /over/)
  await assert.rejects(pool.take(), /over/)
})

test('a crew ends when all is done, also what work began; the first failure stops the rest and is told', async () => {
  const done: string[] = []
  const crew = createCrew(new AbortController().signal)
  crew.run(async () => {
    await settle()
    crew.run(async () => void done.push('inner'))
  })
  await crew.whenDone()
  assert.deepEqual(done, ['inner'])

  const failing = createCrew(new AbortController().signal)
  failing.run(async () => {
    throw new Error('first')
  })
  failing.run(async () => {
    await settle()
    failing.signal.throwIfAborted()
  })
  await assert.rejects(failing.whenDone(), /first/)
})

test('a crew that is stopped from outside ends with aborted', async () => {
  const outside = new AbortController()
  const crew = createCrew(outside.signal)
  crew.run(async () => {
    await new Promise(resolve => crew.signal.addEventListener('abort', resolve))
  })
  outside.abort()
  await assert.rejects(crew.whenDone(), { code: 'aborted' })
})

test('a rate lets a little through at once and then no more than it says', async () => {
  const clock = createManualClock()
  const signal = new AbortController().signal
  const spend = createRate(1000, clock, signal)
  await spend(200)
  assert.deepEqual(clock.sleeping(), [])
  let through = 0
  const next = spend(500).then(() => through++)
  await settle()
  assert.equal(through, 0)
  await clock.advance(500)
  await next
  assert.equal(through, 1)
  // Idle time is not saved up.
  await clock.advance(60_000)
  void spend(1000).then(() => through++)
  await settle()
  assert.equal(through, 1)
  await createRate(0, clock, signal)(1e12)
})

test('a clock that is set back by an hour is not waited for', async () => {
  const clock = createManualClock()
  const spend = createRate(1000, clock, new AbortController().signal)
  await spend(100)
  let back = 0
  const later = { ...clock, now: () => clock.now() - back, sleep: clock.sleep }
  const paced = createRate(1000, later, new AbortController().signal)
  await paced(100)
  back = 3_600_000
  await paced(100)
  assert.deepEqual(clock.sleeping(), [])
})

test('ids are known for a while, and forgotten before they take more memory', () => {
  const recent = createRecentIds(2)
  assert.deepEqual(['a', 'b', 'a', 'c', 'd'].map(recent.add), [true, true, false, true, true])
  assert.equal(recent.add('b'), true)
})

test('a slab takes frames until it is full, and one that is larger than a slab alone', () => {
  const slab = createSlab(10)
  const frame = Buffer.from('123456')
  assert.equal(slab.add('a', frame), true)
  frame.fill('x')
  assert.equal(slab.add('b', frame), false)
  assert.deepEqual(slab.chunks, [{ id: 'a', frame: Buffer.from('123456') }])
  slab.empty()
  assert.equal(slab.add('big', Buffer.alloc(100, 1)), true)
  assert.equal(slab.add('b', Buffer.from('1')), false)
  assert.equal(slab.chunks[0]?.frame.length, 100)
})
