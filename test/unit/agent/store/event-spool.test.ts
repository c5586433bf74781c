import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEventSpool } from '../../../../agent/store/event-spool.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'

function spool(limit = 3) {
  let id = 0
  let added = 0
  const events = createEventSpool(openDatabase(':memory:', AGENT_MIGRATIONS), {
    clock: createManualClock(7),
    ids: { next: () => `id-${++id}` },
    onAdd: () => {
      added += 1
    },
    limit,
  })
  return { events, added: () => added }
}

test('events wait in their order until the controller has them', () => {
  const { events, added } = spool()
  events.add('vm-changed', 'web01', 'first')
  events.add('vm-changed', 'web01', 'second')
  assert.equal(added(), 2)
  const [first] = events.after(0, 10)
  assert.deepEqual(
    { ...first },
    { number: 1, id: 'id-1', at: 7, kind: 'vm-changed', vm: 'web01', text: 'first' },
  )
  assert.deepEqual(
    events.after(1, 10).map(event => event.text),
    ['second'],
  )
  events.received('id-1')
  events.received('id-1')
  assert.deepEqual(
    events.after(0, 10).map(event => event.text),
    ['second'],
  )
})

test('over the limit the oldest go, and how many went is told once the way is free', () => {
  const { events } = spool(3)
  for (const text of ['a', 'b', 'c', 'd', 'e']) events.add('x', '', text)
  assert.deepEqual(
    events.after(0, 10).map(event => event.text),
    ['c', 'd', 'e'],
  )
  events.received('id-3')
  assert.deepEqual(
    events.after(0, 10).map(event => event.text),
    ['d', 'e', '2 older events were dropped'],
  )
  events.received('id-4')
  assert.equal(events.after(0, 10).length, 2)
})
