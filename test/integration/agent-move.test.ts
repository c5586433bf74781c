import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, test } from 'node:test'
import type { SimBlade } from '../../agent/sim/blade.ts'
import type { OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { type AgentWorld, createAgentWorld, smallVm } from './agent-world.ts'

const WEB = '11111111-1111-4111-8111-111111111111'

let world: AgentWorld
let source: SimBlade
let target: SimBlade
let targetAddress: string

beforeEach(async () => {
  world = await createAgentWorld()
  source = await world.blade('blade01')
  target = await world.blade('blade02')
  await source.addVm(smallVm(WEB, 'web01'))
  await world.agent(source)
  await world.agent(target)
  await world.controller.until(() => world.controller.reports.size === 2)
  targetAddress = world.controller.hellos.find(hello => hello.blade === 'blade02')?.peerAddress ?? ''
})
afterEach(async test => {
  await world.end(test)
})

async function prepare(move: string, epoch: number, generation: number): Promise<OrderStatus> {
  const vm = world.controller.reports.get('blade01')?.vms.find(each => each.id === WEB)
  return world.controller.end(
    world.controller.give('blade02', {
      orderId: `${move}/prepare-target`,
      vmId: WEB,
      epoch,
      generation,
      kind: { $case: 'prepareIncoming', value: { vm, fromBlade: 'blade01', moveId: move } },
    }),
  )
}

function giveSend(
  move: string,
  epoch: number,
  generation: number,
  how: 'sendLive' | 'sendCold' = 'sendLive',
): string {
  return world.controller.give('blade01', {
    orderId: `${move}/send`,
    vmId: WEB,
    epoch,
    generation,
    kind: { $case: how, value: { moveId: move, toBlade: 'blade02', peerAddress: targetAddress } },
  })
}

async function confirm(
  move: string,
  epoch: number,
  generation: number,
  running = true,
): Promise<OrderStatus> {
  return world.controller.end(
    world.controller.give('blade02', {
      orderId: `${move}/confirm-target`,
      vmId: WEB,
      epoch,
      generation,
      kind: { $case: 'confirmIncoming', value: { moveId: move, running } },
    }),
  )
}

async function release(move: string, epoch: number, generation: number): Promise<OrderStatus> {
  return world.controller.end(
    world.controller.give('blade01', {
      orderId: `${move}/release-source`,
      vmId: WEB,
      epoch,
      generation,
      kind: { $case: 'releaseSource', value: { moveId: move, graceMs: HOUR_MS } },
    }),
  )
}

async function discard(move: string, epoch: number, generation: number): Promise<OrderStatus> {
  return world.controller.end(
    world.controller.give('blade02', {
      orderId: `${move}/discard-target`,
      vmId: WEB,
      epoch,
      generation,
      kind: { $case: 'discardIncoming', value: { moveId: move } },
    }),
  )
}

test('a running VM moves: prepared, sent through the peer streams, confirmed, the source kept and released', async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  const sent = await world.controller.end(giveSend('o1', 1, 1))
  assert.equal(sent.state, 'done', sent.error?.message)
  assert.ok((sent.result?.transferredBytes ?? 0) > 256 * 1024)
  assert.ok(sent.commands.some(command => command.argv.includes('migrate')))

  const confirmed = await confirm('o1', 1, 1)
  assert.equal(confirmed.state, 'done', confirmed.error?.message)
  assert.equal(await target.hypervisor.state(WEB), 'running')
  assert.equal(await target.hypervisor.autostart(WEB), true)
  assert.ok(confirmed.commands.some(command => command.argv.includes('resume')))

  const released = await release('o1', 1, 1)
  assert.equal(released.state, 'done', released.error?.message)
  assert.equal(released.result?.keptVolumes.length, 1)
  assert.equal(await source.hypervisor.state(WEB), 'absent')
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
  assert.equal((await source.volumes.kept()).length, 1)
})

test('a VM that is off is copied cold, byte for byte, and stays off', async () => {
  const path = (await source.hypervisor.list())[0]?.volumes[0]?.path ?? ''
  const stop = world.controller.give('blade01', {
    orderId: 'o1/stop',
    vmId: WEB,
    generation: 1,
    kind: { $case: 'stop', value: { force: true } },
  })
  assert.equal((await world.controller.end(stop)).state, 'done')
  const before = await readFile(source.hostPath(path))
  assert.equal((await prepare('o2', 1, 2)).state, 'done')
  const sent = await world.controller.end(giveSend('o2', 1, 2, 'sendCold'))
  assert.equal(sent.state, 'done', sent.error?.message)
  assert.equal((await confirm('o2', 1, 2, false)).state, 'done')
  assert.equal((await release('o2', 1, 2)).state, 'done')
  assert.equal(await target.hypervisor.state(WEB), 'stopped')
  assert.ok(before.equals(await readFile(target.hostPath(path))))
})

test('a migration that breaks leaves the VM running at the source, and the target is emptied', async () => {
  const poolsBefore = await target.volumes.pools()
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  source.knobs.failNextMigration('the network went away')
  const sent = await world.controller.end(giveSend('o1', 1, 1))
  assert.equal(sent.state, 'undone')
  assert.match(sent.error?.message ?? '', /the network went away/)
  assert.equal(await source.hypervisor.state(WEB), 'running')
  assert.equal(await source.hypervisor.autostart(WEB), true)

  assert.equal((await discard('o1', 1, 1)).state, 'done')
  assert.equal(await target.hypervisor.state(WEB), 'absent')
  assert.deepEqual(await target.volumes.pools(), poolsBefore)
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
})

test('the last answer of a migration is lost: the VM goes on at the source and its copy is never run', async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  source.knobs.loseNextFinish()
  const sent = await world.controller.end(giveSend('o1', 1, 1))
  assert.equal(sent.state, 'undone')
  assert.equal(await source.hypervisor.state(WEB), 'running')
  assert.equal((await discard('o1', 1, 1)).state, 'done')
  assert.equal(await target.hypervisor.state(WEB), 'absent')

  // The next try begins from what the guest is now.
  assert.equal((await prepare('o2', 2, 2)).state, 'done')
  assert.equal((await world.controller.end(giveSend('o2', 2, 2))).state, 'done')
  assert.equal((await confirm('o2', 2, 2)).state, 'done')
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
})

test("the source's agent restarts in the middle: the migration is done again and the VM arrives once", async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  const hold = source.knobs.holdMigrations()
  const order = giveSend('o1', 1, 1)
  await hold.reached
  const restarted = world.agent(source)
  hold.release()
  await restarted
  const sent = await world.controller.end(order)
  assert.equal(sent.state, 'done', sent.error?.message)
  assert.equal((await confirm('o1', 1, 1)).state, 'done')
  assert.equal((await release('o1', 1, 1)).state, 'done')
  assert.equal(await target.hypervisor.state(WEB), 'running')
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
})

test("the target's agent restarts in the middle: the VM runs on at the source and the order says so", async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  const hold = source.knobs.holdMigrations()
  const order = giveSend('o1', 1, 1)
  await hold.reached
  await world.agent(target)
  hold.release()
  const sent = await world.controller.end(order)
  assert.equal(sent.state, 'undone')
  assert.equal(await source.hypervisor.state(WEB), 'running')
  assert.equal((await discard('o1', 1, 1)).state, 'done')
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
})

test('an aborted move is undone: the VM stays, its autostart too', async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  const hold = source.knobs.holdMigrations()
  const order = giveSend('o1', 1, 1)
  await hold.reached
  world.controller.abort('blade01', order)
  const sent = await world.controller.end(order)
  assert.equal(sent.state, 'undone')
  assert.equal(await source.hypervisor.state(WEB), 'running')
  assert.equal(await source.hypervisor.autostart(WEB), true)
})

test('while the VM is between two blades nobody starts it at the source', async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  assert.equal((await world.controller.end(giveSend('o1', 1, 1))).state, 'done')
  const start = (orderId: string, epoch: number, generation: number) =>
    world.controller.end(
      world.controller.give('blade01', {
        orderId,
        vmId: WEB,
        epoch,
        generation,
        kind: { $case: 'start', value: {} },
      }),
    )
  assert.equal((await start('o2/start', 1, 2)).error?.code, 'refused')
  assert.equal((await confirm('o1', 1, 1)).state, 'done')
  assert.equal((await release('o1', 1, 1)).state, 'done')
  assert.equal((await start('o3/start', 0, 3)).error?.code, 'stale')
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
})

test('an order is carried out once however often it is sent, and an older one is refused', async () => {
  const first = await prepare('o1', 1, 5)
  assert.equal(first.state, 'done')
  const again = await prepare('o1', 1, 5)
  assert.equal(again.state, 'done')
  assert.equal((await prepare('o0', 1, 4)).error?.code, 'stale')
})

test('a kept volume is not discarded by a VM that runs, and a discard after the hand-over is refused', async () => {
  assert.equal((await prepare('o1', 1, 1)).state, 'done')
  assert.equal((await world.controller.end(giveSend('o1', 1, 1))).state, 'done')
  const discarded = await discard('o1', 1, 1)
  assert.equal(discarded.state, 'undone')
  assert.equal(discarded.error?.code, 'refused')
  assert.equal(await target.hypervisor.state(WEB), 'running')
})
