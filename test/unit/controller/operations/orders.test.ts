import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Sessions } from '../../../../controller/fleet/sessions.ts'
import { createOrders, type Orders } from '../../../../controller/operations/orders.ts'
import { EMPTY_OPERATION } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { Order, OrderStatus, type ToAgent } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createManualClock, settle } from '../../../fakes/manual-clock.ts'

const ORDER = Order.fromPartial({
  orderId: 'o1/confirm-target',
  deadlineAt: 2e12,
  kind: { $case: 'confirmIncoming', value: { moveId: 'o1', running: true } },
})
const DONE = OrderStatus.fromPartial({ orderId: ORDER.orderId, state: 'done' })

let store: Store
let sent: { blade: string; what: string }[]
let orders: Orders

beforeEach(() => {
  store = openStore(':memory:')
  sent = []
  const sessions: Sessions = {
    open: () => assert.fail('no session is opened here'),
    closed: () => {},
    isConnected: () => true,
    end: () => {},
    send: (blade: string, message: ToAgent) => {
      sent.push({ blade, what: message.kind?.$case ?? '' })
      return true
    },
  }
  const clock = createManualClock()
  orders = createOrders({ store, sessions, clock, log: silentLogger, onStatus: () => {} })
  store.operations.add({ ...EMPTY_OPERATION, id: 'o1' })
})
afterEach(() => store.close())

test('an end told before the order was given ends nothing: the order is still given, and its own end awaited', async () => {
  orders.received('blade02', DONE)
  assert.deepEqual(sent, [{ blade: 'blade02', what: 'orderEndSeen' }])
  let state = ''
  void orders.execute('blade02', ORDER, { signal: new AbortController().signal }).then(status => {
    state = status.state
  })
  await settle()
  assert.deepEqual(sent.at(-1), { blade: 'blade02', what: 'order' })
  assert.equal(state, '')
  orders.received('blade02', DONE)
  await settle()
  assert.equal(state, 'done')
})

test('no blade ends the order of another, whether somebody waits for it or not', async () => {
  void orders.execute('blade02', ORDER, { signal: new AbortController().signal })
  orders.received('blade03', DONE)
  assert.equal(store.orders.get(ORDER.orderId)?.endedAt, 0)
  orders.received('blade02', DONE)
  await settle()
  assert.notEqual(store.orders.get(ORDER.orderId)?.endedAt, 0)
})

test('an end that carries another generation is that of an older order of the same name', async () => {
  void orders.execute('blade02', { ...ORDER, generation: 7 }, { signal: new AbortController().signal })
  orders.received('blade02', { ...DONE, generation: 3 })
  assert.equal(store.orders.get(ORDER.orderId)?.endedAt, 0)
  orders.received('blade02', { ...DONE, state: 'refused' })
  await settle()
  assert.notEqual(store.orders.get(ORDER.orderId)?.endedAt, 0)
})
