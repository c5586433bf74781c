import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWebhookNotifier, type Notice } from '../../../../controller/alerts/notifiers.ts'
import { createOutbox, retryDelayMs } from '../../../../controller/alerts/outbox.ts'
import { openStore } from '../../../../controller/store/store.ts'
import { silentLogger } from '../../../../shared/log.ts'

function world(notify: (notice: Notice) => Promise<void>) {
  const store = openStore(':memory:')
  const time = { now: 1_000 }
  const clock = { now: () => time.now, sleep: async () => {} }
  const outbox = createOutbox({ store, notifiers: [{ name: 'webhook', notify }], clock, log: silentLogger })
  const add = (revision: number) =>
    store.outbox.add({
      dedupeKey: `a1/${revision}/webhook`,
      notifier: 'webhook',
      alert: 'a1',
      payload: `${revision}`,
    })
  const round = async () => {
    outbox.deliver()
    await outbox.idle()
  }
  return { store, time, add, round }
}

test('a message that is not taken waits, doubles its wait, and arrives in the end, in order', async () => {
  const taken: string[] = []
  let isAway = true
  const { store, time, add, round } = world(async ({ dedupeKey }) => {
    if (isAway) throw new Error('no route to host')
    taken.push(dedupeKey)
  })
  add(1)
  add(2)
  await round()
  isAway = false
  await round()
  assert.deepEqual(
    taken,
    ['a1/2/webhook'].slice(1),
    'its time has not come, and the later one does not overtake it',
  )
  time.now += retryDelayMs(0)
  await round()
  assert.deepEqual(taken, ['a1/1/webhook', 'a1/2/webhook'])
  assert.equal(store.outbox.waiting(10).length, 0)
  store.close()
})

test('waits grow to a quarter of an hour and no further', () => {
  assert.deepEqual([0, 1, 2, 50].map(retryDelayMs), [5_000, 10_000, 20_000, 900_000])
})

test('the webhook gets the alert as JSON with a key to drop it by; anything but 2xx is not taken', async () => {
  const requests: { url: string; init: RequestInit }[] = []
  let status = 204
  const request = (async (url: string, init: RequestInit) => {
    requests.push({ url, init })
    return new Response(null, { status })
  }) as unknown as typeof fetch
  const notifier = createWebhookNotifier('https://pager.example/hook', request)
  await notifier.notify({ dedupeKey: 'a1/1/webhook', payload: '{"id":"a1"}' })
  assert.equal(requests[0]?.init.body, '{"id":"a1"}')
  assert.equal(new Headers(requests[0]?.init.headers).get('idempotency-key'), 'a1/1/webhook')
  status = 500
  await assert.rejects(notifier.notify({ dedupeKey: 'k', payload: '{}' }), /the webhook answered 500/)
})
