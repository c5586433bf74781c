import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { createFleetState } from '../../../../controller/fleet/fleet-state.ts'
import type { Orders } from '../../../../controller/operations/orders.ts'
import type { OperationServices } from '../../../../controller/operations/services.ts'
import { vmActionSaga } from '../../../../controller/operations/vm-action-saga.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { EMPTY_OPERATION } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { OrderStatus } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../../../shared/clock.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { silentLogger } from '../../../../shared/log.ts'
import type { Json } from '../../../../shared/saga/definition.ts'
import { soundCapacity, soundFacts, vm } from '../../../fakes/agent-reports.ts'
import { noVaults } from '../../../fakes/no-vaults.ts'

// Each fits alone into the 15 GiB that VMs may use; together they do not.
const WEB = vm('web01', 1, { state: 'stopped', memoryBytes: 9 * GIB })
const DB = vm('db01', 2, { state: 'stopped', memoryBytes: 9 * GIB })
const NOW = 1_000_000
const CLOCK: Clock = { now: () => NOW + 1, sleep: async () => {} }
const START = vmActionSaga('start')

let store: Store
let services: OperationServices

beforeEach(() => {
  store = openStore(':memory:')
  const limits = {
    maxVmsPerBlade: 4,
    rules: NO_RULES,
    liveness: { suspectAfterMs: 1e9, silentAfterMs: 1e10 },
  }
  const fleet = createFleetState({ store, log: silentLogger, limits })
  const done: Orders = {
    execute: async (_blade, { orderId }) => OrderStatus.fromPartial({ orderId, state: 'done' }),
    received: () => {},
    connected: () => {},
    close: () => {},
  }
  services = { store, orders: done, fleet, clock: CLOCK, log: silentLogger, ...noVaults }
  store.blades.add({ name: 'blade01', chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
  store.blades.update('blade01', { joinedAt: 1 })
  fleet.accept(
    'blade01',
    {
      sequence: 1,
      observedAt: NOW,
      facts: soundFacts(NOW),
      vms: [WEB, DB],
      capacity: soundCapacity(),
      complete: true,
    },
    NOW,
  )
})
afterEach(() => store.close())

async function run(
  step: 'admit' | 'start',
  operation: string,
  which: Vm,
  force = false,
): Promise<Json | undefined> {
  if (store.operations.get(operation) === undefined) {
    store.operations.add({
      ...EMPTY_OPERATION,
      id: operation,
      kind: 'start',
      vmId: which.id,
      from: 'blade01',
    })
  }
  const definition = START.steps.find(each => each.name === step) ?? assert.fail(step)
  return definition.do({
    sagaId: operation,
    params: { vmId: which.id, vm: which.name, blade: 'blade01', force, deadlineAt: NOW + 1 },
    services,
    results: { admit: { epoch: 0, generation: 1 } },
    signal: new AbortController().signal,
    progress: () => {},
  })
}

test('two starts at once are not both admitted onto the memory of one (rule 5)', async () => {
  await run('admit', 'o1', WEB)
  await assert.rejects(run('admit', 'o2', DB), { code: 'refused' })
})

test('a start right behind another does not find its memory free before the report says so', async () => {
  await run('admit', 'o1', WEB)
  await run('start', 'o1', WEB)
  store.operations.update('o1', { state: 'done', endedAt: NOW, reservation: undefined })
  await assert.rejects(run('admit', 'o2', DB), { code: 'refused' })
})

test('a start that failed gives its memory back', async () => {
  await run('admit', 'o1', WEB)
  store.operations.update('o1', { state: 'undone', endedAt: NOW, reservation: undefined })
  await run('admit', 'o2', DB)
})

test('a forced start goes out under a higher epoch, which overrules what a move that ended half way left behind', async () => {
  const plain = (await run('admit', 'o1', WEB)) as { epoch: number }
  store.operations.update('o1', { state: 'undone', endedAt: NOW, reservation: undefined })
  const forced = (await run('admit', 'o2', WEB, true)) as { epoch: number }
  assert.equal(forced.epoch, plain.epoch + 1)
})

test('a forced start waits while the other end of a half-way move does not report (rule 1)', async () => {
  store.blades.add({ name: 'blade02', chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
  const move = { ...EMPTY_OPERATION, id: 'o1', kind: 'move', vmId: WEB.id, from: 'blade01', to: 'blade02' }
  store.operations.add({ ...move, state: 'needs-admin', endedAt: NOW } as typeof EMPTY_OPERATION)
  await assert.rejects(run('admit', 'o2', WEB, true), { code: 'refused', message: /may run on blade02/ })
})

test('a start waits while a restore of the VM elsewhere may have ended well unseen (rule 1)', async () => {
  store.blades.add({ name: 'blade02', chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
  store.blades.update('blade02', { joinedAt: 1 })
  const restore = { ...EMPTY_OPERATION, id: 'o1', kind: 'restore' as const, vmId: WEB.id, to: 'blade02' }
  store.operations.add({ ...restore, state: 'needs-admin', endedAt: NOW })
  for (const force of [false, true]) {
    const begun = run('admit', 'o2', WEB, force)
    await assert.rejects(begun, { code: 'refused', message: /may run on blade02, where operation o1/ })
  }
  store.operations.update('o1', { settledAt: NOW + 1 })
  await run('admit', 'o2', WEB)
})
