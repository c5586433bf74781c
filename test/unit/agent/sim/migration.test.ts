import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { createSimRunner } from '../../../../agent/sim/runner.ts'
import { systemClock } from '../../../../shared/clock.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { formatErrorChain } from '../../../../shared/errors.ts'
import { createSimWorld, type SimWorld } from '../../../fakes/sim-world.ts'
import { createUnixTunnel } from '../../../fakes/unix-tunnel.ts'

const VM_ID = '5d1f3a60-1111-4a4a-8a8a-000000000001'
const run = createSimRunner(systemClock)

/** A running VM with two disks on blade01, volumes for it on blade02, and the way between them. */
async function aboutToMove(world: SimWorld) {
  const source = await world.blade('blade01')
  const target = await world.blade('blade02')
  const volumes = [
    { kind: 'thin', sizeBytes: 4 * MIB },
    { kind: 'thick', sizeBytes: 3 * MIB },
  ] as const
  const { volumes: disks } = await source.addVm({ id: VM_ID, name: 'web01', memoryBytes: 64 * MIB, volumes })
  for (const info of (await source.volumes.inspect(disks.map(disk => disk.path))).values()) {
    assert.ok('sizeBytes' in info)
    await target.volumes.create(info, 'm1', run)
  }
  const sockets = source.hypervisor.outgoingSockets('web01', 'm1')
  const tunnel = await createUnixTunnel(sockets, target.hypervisor.incomingSockets('web01', 'm1'))
  const migrate = () =>
    source.hypervisor.migrate(VM_ID, sockets, {
      timeoutMs: 60_000,
      signal: new AbortController().signal,
      run,
      disks: ['vda'],
      onProgress: () => {},
    })
  return { source, target, tunnel, migrate, paths: disks.map(disk => disk.path) }
}

it('every byte of both disks arrives', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const { source, target, tunnel, migrate, paths } = await aboutToMove(world)
  await migrate()
  await tunnel.close()
  for (const path of paths) {
    assert.ok(readFileSync(source.hostPath(path)).equals(readFileSync(target.hostPath(path))), path)
  }
})

it('when the last answer is lost the VM runs on here, and what arrived there stays paused', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const { source, target, tunnel, migrate } = await aboutToMove(world)
  source.knobs.loseNextFinish()
  const text = await migrate().then(
    () => 'no error',
    error => formatErrorChain(error),
  )
  await tunnel.close()
  assert.equal(text, 'failed to migrate web01: the answer of the target was lost')
  assert.deepEqual(world.chassis.ledger.executingOn(VM_ID), ['blade01'])
  assert.equal(await target.hypervisor.state(VM_ID), 'paused')
  assert.deepEqual(world.chassis.ledger.violations(), [])
})

it('a migration told to fail leaves the guest counting, and the next one succeeds', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const { source, target, tunnel, migrate } = await aboutToMove(world)
  source.knobs.failNextMigration('unable to execute QEMU command: disk error')
  await assert.rejects(migrate(), { message: 'failed to migrate web01' })
  assert.equal(await source.hypervisor.state(VM_ID), 'running')
  await target.hypervisor.destroyIncoming(VM_ID, run)
  await migrate()
  await target.hypervisor.resume(VM_ID, run)
  await tunnel.close()
  const spans = world.chassis.ledger.spans(VM_ID)
  assert.deepEqual(
    spans.map(span => span.blade),
    ['blade01', 'blade02'],
  )
  assert.deepEqual(world.chassis.ledger.violations(), [])
})
