import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { createUplink, type SessionCall, type Uplink } from '../../../../agent/session/uplink.ts'
import { type FromAgent, OrderStatus, Report } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { createManualClock, settle } from '../../../fakes/manual-clock.ts'

/** The part of a gRPC stream the uplink uses; `full` makes it say so, until `drain`. */
class FakeCall extends EventEmitter {
  readonly sent: FromAgent[] = []
  full = false
  destroyed = false
  writableEnded = false

  write(message: FromAgent): boolean {
    this.sent.push(message)
    return !this.full
  }

  kinds(): string[] {
    return this.sent.map(message => message.kind?.$case ?? '')
  }
}

function world() {
  const clock = createManualClock(1000)
  const statuses = new Map<string, OrderStatus>()
  let working: { orderId: string; doneBytes: number }[] = []
  const events = [{ number: 1, id: 'e1', at: 1, kind: 'x', vm: '', text: 'one' }]
  const uplink: Uplink = createUplink({
    clock,
    spool: {
      add: () => {},
      after: number => events.filter(event => event.number > number),
      received: () => {},
    },
    report: () => Report.fromPartial({ sequence: 1 }),
    status: id => statuses.get(id),
    owed: () => [...statuses.keys()],
    working: () => working,
  })
  const call = new FakeCall()
  const over = new AbortController()
  const running = uplink.run(call as unknown as SessionCall, 5000, over.signal)
  const tell = (orderId: string, state: string, doneBytes = 0) => {
    const status = OrderStatus.fromPartial({ orderId, state, doneBytes })
    statuses.set(orderId, status)
    uplink.statusChanged(status)
  }
  return {
    clock,
    uplink,
    call,
    tell,
    statuses,
    events,
    setWorking: (orders: typeof working) => {
      working = orders
    },
    stop: async () => {
      over.abort()
      await running
    },
  }
}

test('a session begins with a report and the events that wait, and reports at its interval', async () => {
  const { clock, call, stop } = world()
  await settle()
  assert.deepEqual(call.kinds(), ['report', 'event'])
  await clock.advance(4999)
  assert.equal(call.sent.length, 2)
  await clock.advance(1)
  assert.deepEqual(call.kinds().slice(2), ['report'])
  await stop()
})

test('changes within a moment are one report', async () => {
  const { clock, call, uplink, stop } = world()
  await settle()
  uplink.reportChanged()
  await clock.advance(150)
  uplink.reportChanged()
  assert.equal(call.kinds().filter(kind => kind === 'report').length, 1)
  await clock.advance(50)
  assert.equal(call.kinds().filter(kind => kind === 'report').length, 2)
  await clock.advance(1000)
  assert.equal(call.kinds().filter(kind => kind === 'report').length, 2)
  await stop()
})

test('statuses of one order are at least half a second apart, but its end goes at once', async () => {
  const { clock, call, tell, stop } = world()
  await settle()
  const states = () =>
    call.sent.flatMap(message => (message.kind?.$case === 'orderStatus' ? [message.kind.value.state] : []))
  tell('o1', 'accepted')
  await settle()
  tell('o1', 'running')
  await clock.advance(499)
  assert.deepEqual(states(), ['accepted'])
  await clock.advance(1)
  assert.deepEqual(states(), ['accepted', 'running'])
  tell('o1', 'done')
  await settle()
  assert.deepEqual(states(), ['accepted', 'running', 'done'])
  await stop()
})

test('progress is told while an order works, and an idle agent does not wake for it', async () => {
  const { clock, call, tell, statuses, setWorking, stop } = world()
  await settle()
  tell('o1', 'running')
  await settle()
  statuses.set('o1', OrderStatus.fromPartial({ orderId: 'o1', state: 'running', doneBytes: 9 }))
  setWorking([{ orderId: 'o1', doneBytes: 9 }])
  await clock.advance(1000)
  const last = call.sent.at(-1)?.kind
  assert.equal(last?.$case === 'orderStatus' && last.value.doneBytes, 9)
  setWorking([])
  await clock.advance(1000)
  assert.deepEqual(
    clock.sleeping().filter(ms => ms < 1500),
    [],
  )
  await stop()
})

test('a refusal is told although nothing is kept of it', async () => {
  const { call, uplink, stop } = world()
  await settle()
  uplink.statusChanged(OrderStatus.fromPartial({ orderId: 'o9', state: 'refused' }))
  await settle()
  const last = call.sent.at(-1)?.kind
  assert.equal(last?.$case === 'orderStatus' && last.value.state, 'refused')
  await stop()
})

test('a controller that reads slowly gets what is true when it reads on, not all that was', async () => {
  const { clock, call, uplink, stop } = world()
  await settle()
  call.full = true
  uplink.reportChanged()
  await clock.advance(200)
  for (let count = 0; count < 10; count++) uplink.reportChanged()
  await clock.advance(2000)
  assert.equal(call.kinds().filter(kind => kind === 'report').length, 2)
  call.full = false
  call.emit('drain')
  await clock.advance(200)
  assert.equal(call.kinds().filter(kind => kind === 'report').length, 3)
  assert.equal(call.listenerCount('drain'), 0)
  await stop()
})

test('a refusal that was never sent is forgotten when the same order comes again and is accepted', async () => {
  const { call, uplink, tell, stop } = world()
  uplink.statusChanged(OrderStatus.fromPartial({ orderId: 'o9', state: 'refused' }))
  tell('o9', 'accepted')
  await settle()
  const states = call.sent.flatMap(({ kind }) => (kind?.$case === 'orderStatus' ? [kind.value.state] : []))
  assert.ok(states.length > 0)
  assert.ok(
    states.every(state => state === 'accepted'),
    states.join(' '),
  )
  await stop()
})
