import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hypervisor } from '../../../../agent/hypervisor/hypervisor.ts'
import { type InventoryOptions, startInventory } from '../../../../agent/inventory/inventory.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { soundCapacity, vm } from '../../../fakes/agent-reports.ts'
import { createManualClock, settle } from '../../../fakes/manual-clock.ts'

/** A hypervisor whose answers are given by hand, so that something can happen while it is being asked. */
function world() {
  const clock = createManualClock()
  const told: string[] = []
  let arriving: readonly string[] = []
  let change = () => {}
  let answer: (vms: readonly Vm[]) => void = () => {}
  const hypervisor = {
    list: () => new Promise<readonly Vm[]>(resolve => (answer = resolve)),
    capacity: async () => soundCapacity(),
    watch: (onChange: () => void) => {
      change = onChange
      return () => {}
    },
  } as unknown as Hypervisor
  const options = {
    hypervisor,
    volumes: { pools: async () => [], inspect: async () => new Map() },
    moves: { open: () => arriving.map(vmId => ({ vmId, direction: 'in' })) },
    marks: { epochs: () => new Map() },
    reserveBytes: undefined,
    clock,
    log: silentLogger,
    onLook: () =>
      told.push(
        inventory
          .state()
          ?.vms.map(each => each.state)
          .join() ?? 'nothing',
      ),
    onDirectories: () => {},
  } as unknown as InventoryOptions
  const inventory = startInventory(options)
  const answered = async (state: Vm['state']) => {
    answer([vm('web01', 1, { state })])
    await settle()
  }
  const arrive = (...ids: readonly string[]) => {
    arriving = ids
  }
  return {
    inventory,
    told,
    arrive,
    changed: () => change(),
    answered,
    later: (ms: number) => clock.advance(ms),
  }
}

test('a look is not told when something changed meanwhile: the next one is, and it is newer', async () => {
  const { inventory, told, changed, answered, later } = world()
  await later(1_000)
  await answered('paused')
  assert.deepEqual(told, ['paused'])
  changed()
  await later(1_000)
  changed()
  await answered('paused')
  assert.deepEqual(told, ['paused'], 'it was resumed while it was read')
  await later(1_000)
  await answered('running')
  assert.deepEqual(told, ['paused', 'running'])
  await inventory.close()
})

test('where something changes all the time, a look is told now and then', async () => {
  const { inventory, told, changed, answered, later } = world()
  await later(1_000)
  await answered('running')
  for (let round = 0; round < 4; round++) {
    changed()
    await later(1_000)
    changed()
    await answered('running')
  }
  assert.equal(told.length, 2)
  await inventory.close()
})

test('a VM whose move ends while it is looked at is told as still arriving: what was seen of it may be from before', async () => {
  const { inventory, arrive, changed, answered, later } = world()
  const id = vm('web01', 1).id
  const isIncoming = () => inventory.state()?.vms.map(({ incoming }) => incoming)
  await later(1_000)
  await answered('paused')
  arrive(id)
  changed()
  await later(1_000)
  arrive()
  await answered('paused')
  assert.deepEqual(isIncoming(), [true])
  changed()
  await later(1_000)
  await answered('running')
  assert.deepEqual(isIncoming(), [false])
  changed()
  await later(1_000)
  arrive(id)
  await answered('running')
  assert.deepEqual(isIncoming(), [true])
  await inventory.close()
})
