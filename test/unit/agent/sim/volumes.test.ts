import assert from 'node:assert/strict'
import { join } from 'node:path'
import { it } from 'node:test'
import { createSimDisks } from '../../../../agent/sim/disks.ts'
import { createSimRunner } from '../../../../agent/sim/runner.ts'
import { openVolumeRecords } from '../../../../agent/sim/volume-records.ts'
import { createSimVolumes } from '../../../../agent/sim/volumes.ts'
import { systemClock } from '../../../../shared/clock.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { createSimWorld } from '../../../fakes/sim-world.ts'

const POOLS = [{ name: 'vg0', storage: 'thick', sizeBytes: 64 * MIB }] as const
const run = createSimRunner(systemClock)

it('marks and kept volumes are found again by the next process', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const open = () =>
    createSimVolumes(
      createSimDisks(join(world.dir, 'disks'), POOLS),
      openVolumeRecords(join(world.dir, 'v.json')),
    )
  const info = (name: string) =>
    ({
      path: `/dev/vg0/${name}`,
      storage: 'thick',
      pool: 'vg0',
      sizeBytes: MIB,
      allocatedBytes: MIB,
      format: 'raw',
    }) as const

  const before = open()
  await before.create(info('web01'), 'm1', run)
  await before.create(info('db01'), 'm2', run)
  await before.adopt('/dev/vg0/db01', 'm2', run)
  const kept = await before.keep('/dev/vg0/db01', 'm3', run)

  const after = open()
  assert.deepEqual(await after.create(info('web01'), 'm1', run), [], 'still marked for its move')
  assert.deepEqual(await after.kept(), [{ path: kept, pool: 'vg0', sizeBytes: MIB, moveId: 'm3' }])
  await after.unkeep('/dev/vg0/db01', 'm3', run)
  assert.deepEqual(await open().kept(), [])
})

it('room is made by dropping kept volumes, oldest first and no more than needed', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const { volumes, addVm } = await world.blade('blade01', {
    pools: [{ name: 'vg0', storage: 'thick', sizeBytes: 4 * MIB }],
  })
  const kept: string[] = []
  for (const name of ['old', 'newer', 'newest']) {
    const vm = {
      id: name,
      name,
      memoryBytes: MIB,
      running: false,
      volumes: [{ kind: 'thick', sizeBytes: MIB }],
    } as const
    const { volumes: made } = await addVm(vm)
    kept.push(await volumes.keep(made[0]?.path ?? '', `move-${name}`, run))
  }
  const wanted = {
    path: '/dev/vg0/web01',
    storage: 'thick',
    pool: 'vg0',
    format: 'raw',
    allocatedBytes: 0,
  } as const
  const large = { ...wanted, sizeBytes: 3 * MIB }
  await assert.rejects(volumes.create(large, 'm1', run, { sparesKept: true }), { code: 'refused' })
  assert.deepEqual(await volumes.create(large, 'm1', run), kept.slice(0, 2))
})
