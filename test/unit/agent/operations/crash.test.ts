import assert from 'node:assert/strict'
import { test } from 'node:test'
import { confirmIncoming } from '../../../../agent/operations/confirm-incoming.ts'
import { discardIncoming } from '../../../../agent/operations/discard-incoming.ts'
import { pauseVm } from '../../../../agent/operations/pause-vm.ts'
import { prepareIncoming } from '../../../../agent/operations/prepare-incoming.ts'
import { releaseSource } from '../../../../agent/operations/release-source.ts'
import { resumeVm } from '../../../../agent/operations/resume-vm.ts'
import { sendCold } from '../../../../agent/operations/send-cold.ts'
import { sendLive } from '../../../../agent/operations/send-live.ts'
import { startVm } from '../../../../agent/operations/start-vm.ts'
import { stopVm } from '../../../../agent/operations/stop-vm.ts'
import { systemClock } from '../../../../shared/clock.ts'
import type { Volume } from '../../../../shared/domain/fleet.ts'
import { HOUR_MS } from '../../../../shared/domain/units.ts'
import { runSagaBattery } from '../../../crash/saga-battery.ts'
import { preparedMove } from '../../../fakes/moves.ts'
import { createTwoBlades, DISK, type TwoBlades, VM_ID } from './two-blades.ts'

// Every order through the battery: each step fails, is repeated, is aborted, and the agent dies around each write of
// its journal. Whatever happens the VM runs on one blade at most (rule 1).

const VM = { vmId: VM_ID, vmName: 'db01', generation: 1, epoch: 1, deadlineAt: systemClock.now() + HOUR_MS }
const MOVE = { ...VM, moveId: 'm1' }
const SEND = { ...MOVE, toBlade: 'blade02', peerAddress: '127.0.0.1:1' }
const VOLUME: Volume = {
  target: 'vda',
  path: DISK,
  storage: 'thick',
  pool: 'vg0',
  sizeBytes: 64,
  allocatedBytes: 64,
  format: 'raw',
}

/** The door is open and the empty volume is there, as PrepareIncoming leaves it. */
function prepared(state: 'running' | 'stopped' = 'running'): TwoBlades {
  const world = createTwoBlades(state)
  world.target.volumes.set(DISK, { content: '', move: 'm1', kept: '' })
  world.target.services.moves.put(
    preparedMove({ vmId: VM_ID, vmName: 'db01', volumes: [VOLUME], note: { autostart: true } }),
  )
  return world
}

/** As SendLive leaves it when its `released` was lost: off here, paused there. */
function sent(): TwoBlades {
  const world = prepared()
  world.source.vms.set(VM_ID, { state: 'stopped', autostart: false, incoming: false })
  world.target.vms.set(VM_ID, { state: 'paused', autostart: false, incoming: true })
  world.source.services.moves.put({
    moveId: 'm1',
    direction: 'out',
    state: 'released',
    vmId: VM_ID,
    vmName: 'db01',
    peerBlade: 'blade02',
    peerAddress: '',
    epoch: 1,
    volumes: [VOLUME],
    note: { autostart: true },
  })
  return world
}

function oneAtMost(world: TwoBlades): () => void {
  return () => assert.deepEqual(world.violations, [])
}

test('send-live survives everything: the VM is here as before, or there, and never on both', async () => {
  const { runs } = await runSagaBattery({
    definition: sendLive,
    params: SEND,
    createWorld: () => {
      const world = prepared()
      return {
        services: world.source.services,
        checkInvariant: oneAtMost(world),
        check: state => {
          const here = world.source.vms.get(VM_ID)
          const row = world.source.services.moves.load('m1')
          if (state === 'done') {
            assert.equal(here?.state, 'stopped')
            assert.equal(here?.autostart, false)
            assert.equal(row?.state, 'released')
            assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
            assert.equal(world.target.volumes.get(DISK)?.content, 'the data')
          } else {
            assert.equal(here?.state, 'running')
            assert.equal(here?.autostart, true)
            assert.equal(row, undefined)
            assert.notEqual(world.target.vms.get(VM_ID)?.state, 'running')
          }
        },
      }
    },
  })
  assert.ok(runs.length > 50, `only ${runs.length} runs`)
})

test('send-cold survives everything: the copy is whole, or the VM is here as before', async () => {
  await runSagaBattery({
    definition: sendCold,
    params: SEND,
    createWorld: () => {
      const world = prepared('stopped')
      return {
        services: world.source.services,
        checkInvariant: oneAtMost(world),
        check: state => {
          assert.equal(world.source.vms.get(VM_ID)?.state, 'stopped')
          if (state === 'done') {
            assert.equal(world.target.vms.get(VM_ID)?.state, 'stopped')
            assert.equal(world.target.volumes.get(DISK)?.content, 'the data')
            assert.equal(world.source.services.moves.load('m1')?.state, 'released')
          } else {
            assert.equal(world.source.vms.get(VM_ID)?.autostart, true)
            assert.equal(world.source.services.moves.load('m1'), undefined)
          }
        },
      }
    },
  })
})

test('prepare-incoming survives everything: volume and door are there, or nothing is', async () => {
  await runSagaBattery({
    definition: prepareIncoming,
    params: { ...MOVE, fromBlade: 'blade01', volumes: [{ ...VOLUME }] },
    createWorld: () => {
      const world = createTwoBlades()
      return {
        services: world.target.services,
        check: state => {
          const row = world.target.services.moves.load('m1')
          assert.equal(world.target.volumes.has(DISK), state === 'done')
          assert.equal(row?.state === 'prepared', state === 'done')
        },
      }
    },
  })
})

test('confirm-incoming survives everything: the VM runs here, its volume is its own', async () => {
  await runSagaBattery({
    definition: confirmIncoming,
    params: { ...MOVE, running: true },
    createWorld: () => {
      const world = sent()
      return {
        services: world.target.services,
        checkInvariant: oneAtMost(world),
        check: state => {
          if (state === 'undone') return
          assert.equal(world.target.vms.get(VM_ID)?.state, 'running')
          assert.equal(world.target.vms.get(VM_ID)?.autostart, true)
          assert.equal(world.target.volumes.get(DISK)?.move, '')
          assert.equal(world.target.services.marks.of(VM_ID).epoch, 1)
          assert.equal(world.target.services.moves.load('m1')?.state, 'confirmed')
        },
      }
    },
  })
})

test('discard-incoming survives everything: what was made for the move is gone, the source untouched', async () => {
  await runSagaBattery({
    definition: discardIncoming,
    params: MOVE,
    createWorld: () => {
      const world = prepared()
      world.target.vms.set(VM_ID, { state: 'paused', autostart: false, incoming: true })
      return {
        services: world.target.services,
        checkInvariant: oneAtMost(world),
        check: state => {
          assert.equal(world.source.vms.get(VM_ID)?.state, 'running')
          if (state === 'undone') return
          assert.equal(world.target.vms.size, 0)
          assert.equal(world.target.volumes.size, 0)
          assert.equal(world.target.services.moves.load('m1')?.state, 'discarded')
        },
      }
    },
  })
})

test('release-source survives everything: the volume is kept under another name, the definition is gone', async () => {
  await runSagaBattery({
    definition: releaseSource,
    params: { ...MOVE, graceMs: HOUR_MS },
    createWorld: () => {
      const world = sent()
      return {
        services: world.source.services,
        checkInvariant: oneAtMost(world),
        check: state => {
          const kept = [...world.source.volumes.values()].filter(volume => volume.kept === 'm1')
          assert.equal(kept.length, state === 'done' ? 1 : 0)
          assert.equal(world.source.vms.size, state === 'done' ? 0 : 1)
          assert.equal(world.source.services.kept.list().length, state === 'done' ? 1 : 0)
          assert.equal(world.source.services.marks.of(VM_ID).epoch, state === 'done' ? 1 : 0)
        },
      }
    },
  })
})

test('release-source ends also when what it kept before a restart was dropped for room', async () => {
  await runSagaBattery({
    definition: releaseSource,
    params: { ...MOVE, graceMs: HOUR_MS },
    createWorld: () => {
      const world = sent()
      world.source.volumes.delete(DISK)
      return {
        services: world.source.services,
        checkInvariant: oneAtMost(world),
        check: state => {
          assert.equal(world.source.vms.size, state === 'done' ? 0 : 1)
          assert.deepEqual(world.source.services.kept.list(), [])
        },
      }
    },
  })
})

for (const { definition, before, done, undone } of [
  { definition: startVm, before: 'stopped', done: 'running', undone: ['stopped', 'running'] },
  { definition: stopVm, before: 'running', done: 'stopped', undone: ['running', 'stopped'] },
  { definition: pauseVm, before: 'running', done: 'paused', undone: ['running'] },
  { definition: resumeVm, before: 'paused', done: 'running', undone: ['paused', 'running'] },
] as const) {
  test(`${definition.kind} survives everything`, async () => {
    await runSagaBattery<never, TwoBlades['source']['services']>({
      definition: definition as never,
      params: { ...VM, force: false },
      createWorld: () => {
        const world = createTwoBlades()
        world.source.vms.set(VM_ID, { state: before, autostart: true, incoming: false })
        return {
          services: world.source.services,
          check: state => {
            const is = world.source.vms.get(VM_ID)?.state
            if (state === 'done') assert.equal(is, done)
            else assert.ok(is !== undefined && (undone as readonly string[]).includes(is), `is ${is}`)
          },
        }
      },
    })
  })
}
