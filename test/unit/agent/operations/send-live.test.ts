import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hypervisor } from '../../../../agent/hypervisor/hypervisor.ts'
import { sendLive } from '../../../../agent/operations/send-live.ts'
import { systemClock } from '../../../../shared/clock.ts'
import { HOUR_MS } from '../../../../shared/domain/units.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createSagaJournal, SAGA_TABLES_SQL } from '../../../../shared/saga/journal.ts'
import { createSagaRunner } from '../../../../shared/saga/runner.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createHastyClock } from '../../../fakes/manual-clock.ts'
import { preparedMove } from '../../../fakes/moves.ts'
import { createTwoBlades, DISK, type TwoBlades, VM_ID } from './two-blades.ts'

function preparedWorld(): TwoBlades {
  const world = createTwoBlades()
  world.target.volumes.set(DISK, { content: '', move: 'm1', kept: '' })
  world.target.services.moves.put(preparedMove({ vmId: VM_ID, vmName: 'db01' }))
  return world
}

/** Runs the order with some of the hypervisor's methods replaced. */
async function send(world: TwoBlades, change: (real: Hypervisor) => Partial<Hypervisor>) {
  const db = openDatabase(':memory:', [{ version: 1, name: 'sagas', sql: SAGA_TABLES_SQL }])
  const real = world.source.services.hypervisor
  const services = { ...world.source.services, hypervisor: { ...real, ...change(real) } }
  const runner = createSagaRunner({
    journal: createSagaJournal(db),
    clock: createHastyClock(systemClock.now(), 60_000),
    log: silentLogger,
    servicesFor: () => services,
    onChange: () => {},
  })
  runner.register(sendLive)
  const deadlineAt = systemClock.now() + HOUR_MS
  const params = {
    vmId: VM_ID,
    vmName: 'db01',
    generation: 1,
    epoch: 1,
    deadlineAt,
    moveId: 'm1',
    toBlade: 'blade02',
    peerAddress: '127.0.0.1:1',
  }
  runner.start('send-live', 'o1/send', params, deadlineAt)
  return runner.whenEnded('o1/send')
}

test('the client of the migration is killed after the VM left: what counts is where the VM is', async () => {
  const world = preparedWorld()
  const view = await send(world, real => ({
    migrate: async (...args) => {
      await real.migrate(...args)
      throw new LifeboatError('command-failed', 'virsh was killed')
    },
  }))
  assert.equal(view.state, 'done', view.error)
  assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
  assert.deepEqual(world.violations, [])
})

test('the VM is off here and the target knows nothing of it: the order is undone and the hold is gone', async () => {
  const world = preparedWorld()
  const view = await send(world, real => ({
    migrate: async id => {
      await real.stop(id, true, 0, world.source.services.run)
      throw new LifeboatError('command-failed', 'the guest shut itself down')
    },
  }))
  assert.equal(view.state, 'undone')
  assert.equal(world.source.services.moves.load('m1'), undefined)
  assert.equal(world.source.vms.get(VM_ID)?.autostart, true)
})

test('the VM left, then the target is cut off: a person is asked, and the VM cannot be started here', async () => {
  const world = preparedWorld()
  const view = await send(world, real => ({
    migrate: async (...args) => {
      await real.migrate(...args)
      world.network = 'down'
      // Not retryable, so that the order does not wait an hour for the network.
      world.source.services.peers.ask = async () => {
        throw new LifeboatError('not-authenticated', 'the certificate of the target is not valid any more')
      }
      throw new LifeboatError('command-failed', 'lost contact')
    },
  }))
  assert.equal(view.state, 'needs-admin')
  assert.equal(world.source.services.moves.openOf(VM_ID)?.state, 'sending')
  assert.equal(world.source.vms.get(VM_ID)?.autostart, false)
  assert.equal(world.target.vms.get(VM_ID)?.state, 'paused')
})

test('the hand-over is lost: the order is done all the same, and the target waits for the controller', async () => {
  const world = preparedWorld()
  const view = await send(world, real => ({
    migrate: async (...args) => {
      const statistics = await real.migrate(...args)
      world.network = 'down'
      return statistics
    },
  }))
  assert.equal(view.state, 'done')
  assert.equal(world.source.services.moves.load('m1')?.state, 'released')
  assert.equal(world.target.vms.get(VM_ID)?.state, 'paused')
})

test('somebody starts the VM here before the hand-over: the target is not told to run it (rule 1)', async () => {
  const world = preparedWorld()
  const view = await send(world, real => ({
    migrate: async (...args) => {
      const statistics = await real.migrate(...args)
      await real.start(VM_ID, world.source.services.run)
      return statistics
    },
  }))
  assert.equal(view.state, 'needs-admin')
  assert.match(view.error, /not handed over/)
  assert.equal(world.target.vms.get(VM_ID)?.state, 'paused')
  assert.deepEqual(world.violations, [])
})

test('a target that expects nothing is found out before anything is touched', async () => {
  const world = createTwoBlades()
  const view = await send(world, () => ({}))
  assert.equal(view.state, 'undone')
  assert.equal(view.errorCode, 'not-found')
  assert.equal(world.source.vms.get(VM_ID)?.autostart, true)
  assert.equal(world.source.services.moves.load('m1'), undefined)
})

test('libvirt does not answer at the hand-over: the VM is let go when it does, and not before', async () => {
  const world = preparedWorld()
  let hasLeft = false
  let silences = 2
  const view = await send(world, real => ({
    migrate: async (...args) => {
      const statistics = await real.migrate(...args)
      hasLeft = true
      return statistics
    },
    state: async id => {
      if (hasLeft && silences > 0) {
        silences -= 1
        throw new LifeboatError('unavailable', 'libvirt restarts')
      }
      return real.state(id)
    },
  }))
  assert.equal(view.state, 'done', view.error)
  assert.equal(world.source.services.moves.load('m1')?.state, 'released')
  assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
  assert.deepEqual(world.violations, [])
})
