import assert from 'node:assert/strict'
import { createFleetState } from '../../../../controller/fleet/fleet-state.ts'
import type { Sessions } from '../../../../controller/fleet/sessions.ts'
import { createOrders } from '../../../../controller/operations/orders.ts'
import type { OperationServices } from '../../../../controller/operations/services.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { EMPTY_OPERATION, type OperationKind } from '../../../../controller/store/operations.ts'
import { openStore } from '../../../../controller/store/store.ts'
import {
  type Order,
  OrderResult,
  OrderStatus,
  type ToAgent,
} from '../../../../proto/gen/lifeboat/v1/intake.ts'
import type { GrantRequest } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import type { Clock } from '../../../../shared/clock.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { soundCapacity, soundFacts, vm } from '../../../fakes/agent-reports.ts'

export const SAVED = vm('web01', 1)
export const POINT = '20261128T020512Z'
const NOW = 1_000_000

/** One blade with the VM, one without, and a vault; the agents' work is that each order is carried out once. */
export function createPointWorld(kind: OperationKind, operation: string, clock: Clock) {
  const store = openStore(':memory:')
  const performed = new Map<string, OrderStatus>()
  const grants: GrantRequest[] = []
  let looks = 0
  for (const name of ['blade01', 'blade02']) {
    store.blades.add({ name, chassis: 'c1', slot: 1, feeds: [], switches: [], addedAt: NOW })
    store.blades.update(name, { joinedAt: NOW, peerAddress: `${name}:7422` })
  }
  store.vaults.add({ name: 'depot', address: 'depot:7423', addedAt: NOW })
  store.vaults.update('depot', { joinedAt: NOW })
  const target = kind === 'backup' ? { from: 'blade01' } : { to: 'blade02', point: POINT }
  store.operations.add({
    ...EMPTY_OPERATION,
    ...target,
    id: operation,
    kind,
    vmId: SAVED.id,
    vm: SAVED.name,
    startedAt: NOW,
    deadlineAt: NOW + 1,
  })
  const limits = {
    maxVmsPerBlade: 4,
    rules: NO_RULES,
    liveness: { suspectAfterMs: 1e12, silentAfterMs: 1e13 },
  }
  const fleet = createFleetState({ store, log: silentLogger, limits })
  const report = {
    sequence: 1,
    observedAt: NOW,
    facts: soundFacts(NOW),
    capacity: soundCapacity(),
    complete: true,
  }
  fleet.accept('blade01', { ...report, vms: [SAVED] }, NOW)
  fleet.accept('blade02', { ...report, vms: [] }, NOW)

  const sessions: Sessions = {
    open: () => assert.fail('no session is opened here'),
    closed: () => {},
    isConnected: () => true,
    end: () => {},
    send: (blade: string, message: ToAgent) => {
      const order = message.kind
      if (order?.$case === 'order') queueMicrotask(() => orders.received(blade, perform(order.value)))
      return true
    },
  }
  const perform = (order: Order): OrderStatus => {
    const { orderId, generation } = order
    const result = OrderResult.fromPartial({ point: POINT, pauseMs: 180, recoveryMs: 42_000 })
    const status =
      performed.get(orderId) ?? OrderStatus.fromPartial({ orderId, generation, state: 'done', result })
    performed.set(orderId, status)
    return status
  }
  const orders = createOrders({ store, sessions, clock, log: silentLogger, onStatus: () => {} })
  const ask = async (_vault: string, method: string, request: unknown) => {
    assert.equal(method, 'grant')
    grants.push(request as GrantRequest)
    return {}
  }
  const services: OperationServices = {
    store,
    orders,
    fleet,
    vaults: { ask: ask as OperationServices['vaults']['ask'] },
    lookAtVaults: () => {
      looks += 1
    },
    clock,
    log: silentLogger,
  }
  return {
    services,
    store,
    performed,
    grants,
    looks: () => looks,
    checkInvariant: () => {
      assert.ok(performed.size <= 1, `${performed.size} orders were carried out, where one was meant`)
      for (const grant of grants) assert.equal(grant.blade, 'blade02')
      if (kind !== 'backup' && performed.size > 0)
        assert.ok(grants.length > 0, 'the right to read comes first')
    },
    noReservation: () =>
      assert.equal(store.operations.get(operation)?.reservation, undefined, 'the room is given back'),
  }
}
