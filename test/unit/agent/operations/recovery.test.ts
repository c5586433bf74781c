import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOrderDesk } from '../../../../agent/operations/order-desk.ts'
import { recover } from '../../../../agent/operations/recovery.ts'
import { startVm } from '../../../../agent/operations/start-vm.ts'
import { createOrderStore } from '../../../../agent/store/order-store.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import { Order } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { systemClock } from '../../../../shared/clock.ts'
import { HOUR_MS } from '../../../../shared/domain/units.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createSagaJournal } from '../../../../shared/saga/journal.ts'
import { createSagaRunner } from '../../../../shared/saga/runner.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { recoveryOf } from '../../../fakes/backup-sagas.ts'
import { preparedMove } from '../../../fakes/moves.ts'
import { createTwoBlades, VM_ID } from './two-blades.ts'

/** An agent's order side over what an earlier process left in its database. */
function reborn(world: ReturnType<typeof createTwoBlades>, db = openDatabase(':memory:', AGENT_MIGRATIONS)) {
  const { services } = world.target
  const journal = createSagaJournal(db)
  const orders = createOrderStore(db)
  const told: string[] = []
  const runner = createSagaRunner({
    journal,
    clock: systemClock,
    log: silentLogger,
    servicesFor: () => services,
    onChange: view => desk.onSaga(view),
  })
  runner.register(startVm)
  const desk = createOrderDesk({
    blade: 'blade02',
    orders,
    moves: services.moves,
    marks: services.marks,
    journal,
    runner: () => runner,
    nameOf: id => id,
    clock: systemClock,
    log: silentLogger,
    onStatus: status => told.push(status.state),
    tell: () => {},
  })
  const start = () =>
    recover({
      backups: recoveryOf(world.target, journal, id => runner.view(id)),
      desk,
      moves: services.moves,
      hypervisor: services.hypervisor,
      runFor: () => services.run,
      bootId: services.bootId,
      log: silentLogger,
    })
  return { desk, orders, runner, told, start }
}

function incoming(world: ReturnType<typeof createTwoBlades>, state: 'prepared' | 'released') {
  world.source.vms.delete(VM_ID)
  world.target.vms.set(VM_ID, { state: 'paused', autostart: false, incoming: true })
  world.target.services.moves.put(preparedMove({ state, vmId: VM_ID, vmName: 'db01' }))
}

test('killed between "the source let go" and the resume: the VM runs at the next start', async () => {
  const world = createTwoBlades()
  incoming(world, 'released')
  await reborn(world).start()
  assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
  assert.equal(world.target.services.moves.load('m1')?.note.ranInBoot, 'boot-1')
})

test('killed while the VM was arriving: it stays paused, for the source has not let go (rule 1)', async () => {
  const world = createTwoBlades()
  incoming(world, 'prepared')
  await reborn(world).start()
  assert.equal(world.target.vms.get(VM_ID)?.state, 'paused')
})

test('killed between the row of an order and its saga: the order is carried out, once', async () => {
  const world = createTwoBlades()
  world.target.vms.set(VM_ID, { state: 'stopped', autostart: false, incoming: false })
  world.source.vms.delete(VM_ID)
  const agent = reborn(world)
  const params = {
    vmId: VM_ID,
    vmName: 'db01',
    generation: 1,
    epoch: 1,
    deadlineAt: systemClock.now() + HOUR_MS,
  }
  agent.orders.accept({ orderId: 'o1', kind: 'start-vm', params, acceptedAt: 1, ...params })
  await agent.start()
  await agent.runner.whenEnded('o1')
  assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
  assert.equal(agent.orders.load('o1')?.state, 'done')
  assert.equal(agent.told.at(-1), 'done')
})

test('an accepted order that a full disk left without a saga is taken up when it comes again', async () => {
  const world = createTwoBlades()
  world.target.vms.set(VM_ID, { state: 'stopped', autostart: false, incoming: false })
  const { desk, orders, runner } = reborn(world)
  const order = Order.fromPartial({
    orderId: 'o1/start',
    vmId: VM_ID,
    generation: 1,
    deadlineAt: systemClock.now() + HOUR_MS,
    kind: { $case: 'start', value: {} },
  })
  const { orderId, vmId, generation, epoch, deadlineAt } = order
  const params = { vmId, vmName: 'db01', generation, epoch, deadlineAt }
  orders.accept({ ...params, orderId, kind: 'start-vm', params, acceptedAt: 1 })
  desk.take(order)
  assert.equal((await runner.whenEnded(orderId)).state, 'done')
  assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
})
