import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { moveSaga } from '../../../../controller/operations/move-saga.ts'
import type { Orders } from '../../../../controller/operations/orders.ts'
import type { OperationServices } from '../../../../controller/operations/services.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { type Order, OrderStatus } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import type { Json } from '../../../../shared/saga/definition.ts'
import { soundCapacity, vm } from '../../../fakes/agent-reports.ts'
import { noVaults } from '../../../fakes/no-vaults.ts'

const WEB = vm('web01', 1)
const DEADLINE_AT = 1_000_000
const NOW = DEADLINE_AT + 60_000

let store: Store
let given: { blade: string; order: Order }[]
let isSilent: boolean

beforeEach(() => {
  store = openStore(':memory:')
  given = []
  isSilent = false
})
afterEach(() => store.close())

const ordersHeard: Orders = {
  execute: async (blade, order) => {
    given.push({ blade, order })
    if (isSilent) throw new LifeboatError('unavailable', `${blade} does not tell`)
    return OrderStatus.fromPartial({ orderId: order.orderId, state: 'done' })
  },
  received: () => {},
  connected: () => {},
  close: () => {},
}

function contextOf() {
  const services: OperationServices = {
    store,
    orders: ordersHeard,
    fleet: { touch: () => {}, accept: () => {}, snapshot: () => assert.fail('no new decision is taken') },
    clock: { now: () => NOW, sleep: async () => {} },
    log: silentLogger,
    ...noVaults,
  }
  const reserve = { epoch: 1, generation: 1, vm: { ...WEB, blade: 'blade01' }, peerAddress: '' }
  return {
    sagaId: 'o1',
    params: moveSaga.parseParams({
      vmId: WEB.id,
      vm: WEB.name,
      from: 'blade01',
      to: 'blade02',
      method: 'live',
      override: false,
      graceMs: 1000,
      deadlineAt: DEADLINE_AT,
    }),
    services,
    results: { reserve: reserve as unknown as Json },
    signal: new AbortController().signal,
    progress: () => {},
  }
}

function step(name: string) {
  return moveSaga.steps.find(each => each.name === name) ?? assert.fail(`no step ${name}`)
}

function reportOfTarget(change: Partial<Vm>): void {
  store.blades.add({ name: 'blade02', chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
  store.blades.update('blade02', {
    report: {
      sequence: 1,
      observedAt: 1,
      facts: [],
      vms: [{ ...WEB, ...change }],
      capacity: soundCapacity(),
      complete: true,
    },
  })
}

function sendWasGiven(): void {
  store.orders.save({
    id: 'o1/send',
    operation: 'o1',
    blade: 'blade01',
    state: 'running',
    status: OrderStatus.fromPartial({ orderId: 'o1/send', state: 'running' }),
    agentSteps: [],
    commands: [],
    endedAt: 0,
  })
}

test('a VM handed over before a deadline the controller slept through is still confirmed and released', async () => {
  await step('confirm-target').do(contextOf())
  await step('release-source').do(contextOf())
  assert.deepEqual(
    given.map(({ blade }) => blade),
    ['blade02', 'blade01'],
  )
  // An agent refuses an order whose deadline has passed when it arrives.
  for (const { order } of given) assert.ok(order.deadlineAt > NOW, order.orderId)
})

test('the source is silent: only a VM that the target calls arriving and running has arrived', async () => {
  isSilent = true
  sendWasGiven()
  reportOfTarget({ state: 'running', incoming: false })
  await assert.rejects(step('send').do(contextOf()), { code: 'needs-admin' }, 'a word from an earlier stay')
  store.close()
  store = openStore(':memory:')
  sendWasGiven()
  reportOfTarget({ state: 'running', incoming: true })
  await step('send').do(contextOf())
})

test('a target that was never told anything is not waited for to discard nothing', async () => {
  const undo = step('prepare-target').undo ?? assert.fail('it has no undo')
  await undo(contextOf())
  assert.deepEqual(given, [])
})
