import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { joinStreams, readLine } from '../../../../agent/peer/streams.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'

const LIMITS = { maxBytes: 64, timeoutMs: 1000 }

test('a line is read and not a byte further, however the bytes are cut', async () => {
  const [here, there] = duplexPair()
  const line = readLine(here, LIMITS, createManualClock(0))
  for (const piece of ['{"a"', ':1}\nra', 'w bytes']) there.write(piece)
  there.end()
  assert.equal(await line, '{"a":1}')
  assert.equal(await text(here), 'raw bytes')
})

test('a peer that says nothing is not waited for for ever', async () => {
  const [here] = duplexPair()
  const clock = createManualClock(0)
  const line = readLine(here, LIMITS, clock)
  const refused = assert.rejects(line, { code: 'timeout' })
  await clock.advance(1000)
  await refused
})

test('a line without an end is cut off at its limit', async () => {
  const [here, there] = duplexPair()
  const line = readLine(here, LIMITS, createManualClock(0))
  there.write('x'.repeat(65))
  await assert.rejects(line, { code: 'bad-input' })
})

test('a connection that ends before its first line is unavailable', async () => {
  const [here, there] = duplexPair()
  const line = readLine(here, LIMITS, createManualClock(0))
  there.end('half a li')
  await assert.rejects(line, { code: 'unavailable' })
})

test('one direction ends while the other goes on', async () => {
  const [client, left] = duplexPair()
  const [right, server] = duplexPair()
  const joined = joinStreams(left, right)
  client.end('a question')
  assert.equal(await text(server), 'a question')
  server.end('a late answer')
  assert.equal(await text(client), 'a late answer')
  await joined
})

test('an error of one end destroys the other, so that nobody waits for the dead', async () => {
  const [client, left] = duplexPair()
  const [right, server] = duplexPair()
  const joined = assert.rejects(joinStreams(left, right), /pulled/)
  for (const end of [client, server] as Duplex[]) end.on('error', () => {})
  left.destroy(new Error('pulled'))
  await joined
  if (!right.closed) await once(right, 'close')
  assert.equal(right.destroyed, true)
})
