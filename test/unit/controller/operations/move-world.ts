import assert from 'node:assert/strict'
import { createFleetState } from '../../../../controller/fleet/fleet-state.ts'
import type { Sessions } from '../../../../controller/fleet/sessions.ts'
import { createOrders } from '../../../../controller/operations/orders.ts'
import type { OperationServices } from '../../../../controller/operations/services.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { EMPTY_OPERATION } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { type Order, OrderStatus, type ToAgent } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../../../shared/clock.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { soundCapacity, soundFacts, vm } from '../../../fakes/agent-reports.ts'
import { noVaults } from '../../../fakes/no-vaults.ts'

/** Where the copies of the one VM are. Rule 1 is a statement about this, at every instant. */
interface Copies {
  source: 'running' | 'off' | 'released'
  target: 'nothing' | 'prepared' | 'arrived' | 'running'
}

export const MOVED = vm('web01', 1)
const NOW = 1_000_000

/** Two blades and one VM behind the real store, orders and fleet state; only the agents' work is a few words. */
export function createMoveWorld(operation: string, clock: Clock) {
  const store = openStore(':memory:')
  const copies: Copies = { source: 'running', target: 'nothing' }
  const performed = new Map<string, OrderStatus>()
  for (const name of ['blade01', 'blade02']) {
    store.blades.add({ name, chassis: 'c1', slot: 1, feeds: [], switches: [], addedAt: NOW })
    store.blades.update(name, { joinedAt: NOW, peerAddress: `${name}:7422` })
  }
  addOperation(store, operation)
  const limits = {
    maxVmsPerBlade: 4,
    rules: NO_RULES,
    liveness: { suspectAfterMs: 1e12, silentAfterMs: 1e13 },
  }
  const fleet = createFleetState({ store, log: silentLogger, limits })
  const report = (blade: string, vms: Vm[]) =>
    fleet.accept(
      blade,
      {
        sequence: 1,
        observedAt: NOW,
        facts: soundFacts(NOW),
        vms,
        capacity: soundCapacity(),
        complete: true,
      },
      NOW,
    )
  report('blade01', [MOVED])
  report('blade02', [])

  /** An agent: one order id is carried out once, however often it is sent. */
  const perform = (order: Order): OrderStatus => {
    const known = performed.get(order.orderId)
    if (known !== undefined) return known
    const refused = work(copies, order)
    const status = OrderStatus.fromPartial({
      orderId: order.orderId,
      generation: order.generation,
      state: refused === '' ? 'done' : 'undone',
      error: refused === '' ? undefined : { code: 'refused', message: refused },
    })
    performed.set(order.orderId, status)
    return status
  }
  const sessions: Sessions = {
    open: () => assert.fail('no session is opened here'),
    closed: () => {},
    isConnected: () => true,
    end: () => {},
    send: (blade: string, message: ToAgent) => {
      const kind = message.kind
      if (kind?.$case === 'order') queueMicrotask(() => orders.received(blade, perform(kind.value)))
      return true
    },
  }
  const orders = createOrders({ store, sessions, clock, log: silentLogger, onStatus: () => {} })
  const services: OperationServices = { ...noVaults, store, orders, fleet, clock, log: silentLogger }
  return {
    services,
    copies,
    checkInvariant: () => {
      const running = Number(copies.source === 'running') + Number(copies.target === 'running')
      assert.ok(running <= 1, `rule 1: the VM runs ${running} times`)
      // Rule 3: the source gives up its volumes only when the target runs.
      if (copies.source === 'released') assert.equal(copies.target, 'running')
    },
    check: (state: 'done' | 'undone') => {
      const expected =
        state === 'done'
          ? { source: 'released', target: 'running' }
          : { source: 'running', target: 'nothing' }
      assert.deepEqual(copies, expected)
      assert.equal(store.operations.get(operation)?.reservation, undefined, 'the room is given back')
      if (state === 'done') assert.equal(store.vms.get(MOVED.id)?.placedOn, 'blade02')
    },
  }
}

function work(copies: Copies, order: Order): string {
  switch (order.kind?.$case) {
    case 'prepareIncoming':
      copies.target = 'prepared'
      return ''
    case 'discardIncoming':
      if (copies.target === 'running') return 'the VM runs here'
      copies.target = 'nothing'
      return ''
    case 'sendLive':
      if (copies.target !== 'prepared') return 'the door is closed'
      copies.source = 'off'
      copies.target = 'arrived'
      return ''
    case 'confirmIncoming':
      if (copies.target === 'nothing') return 'nothing arrived'
      copies.target = 'running'
      return ''
    case 'releaseSource':
      copies.source = 'released'
      return ''
    default:
      return 'not an order of a move'
  }
}

function addOperation(store: Store, id: string): void {
  store.operations.add({
    ...EMPTY_OPERATION,
    id,
    vmId: MOVED.id,
    vm: MOVED.name,
    from: 'blade01',
    to: 'blade02',
    method: 'live',
    startedAt: NOW,
    deadlineAt: NOW + 1,
  })
}
