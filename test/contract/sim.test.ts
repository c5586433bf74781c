import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { parseDefinition } from '../../agent/sim/definition-text.ts'
import { readCounter } from '../../agent/sim/guest.ts'
import { createSimRunner } from '../../agent/sim/runner.ts'
import { systemClock } from '../../shared/clock.ts'
import type { StorageKind } from '../../shared/domain/fleet.ts'
import { MIB } from '../../shared/domain/units.ts'
import { createSimWorld } from '../fakes/sim-world.ts'
import { createUnixTunnel } from '../fakes/unix-tunnel.ts'
import { type HypervisorsUnderTest, hypervisorContract } from './hypervisor.ts'
import { type SnapshotsUnderTest, snapshotsContract } from './snapshots.ts'
import { volumesContract } from './volumes.ts'

const VM_ID = '5d1f3a60-1111-4a4a-8a8a-000000000001'

async function twoBlades(): Promise<HypervisorsUnderTest> {
  const world = createSimWorld()
  const blades = { source: await world.blade('blade01'), target: await world.blade('blade02') }
  const { source, target } = blades
  const run = createSimRunner(systemClock)
  return {
    source: source.hypervisor,
    target: target.hypervisor,
    run,
    async addVm(name) {
      const volumes = [{ kind: 'thick', sizeBytes: 4 * MIB }] as const
      await source.addVm({ id: VM_ID, name, memoryBytes: 64 * MIB, volumes, running: false })
      return VM_ID
    },
    async makeTargetVolumes(id) {
      const { volumes } = parseDefinition(await source.hypervisor.definition(id))
      const paths = volumes.map(volume => volume.path)
      for (const info of (await source.volumes.inspect(paths)).values()) {
        assert.ok('sizeBytes' in info)
        await target.volumes.create(info, 'move', run)
      }
    },
    tunnel: (vmName, moveId) =>
      createUnixTunnel(
        source.hypervisor.outgoingSockets(vmName, moveId),
        target.hypervisor.incomingSockets(vmName, moveId),
      ),
    slowMigrations: () => ({ begun: source.knobs.holdMigrations().reached }),
    startByHand: id => source.hypervisor.start(id, run),
    async count(where, id) {
      const { volumes } = parseDefinition(await blades[where].hypervisor.definition(id))
      const onDisk = readCounter(blades[where].hostPath(volumes[0]?.path ?? ''))
      assert.equal(onDisk, blades[where].count(id), 'memory and disk of the guest differ')
      return onDisk
    },
    async close() {
      await world.close()
      assert.deepEqual(world.chassis.ledger.violations(), [])
    },
  }
}

hypervisorContract('simulated', twoBlades)

const POOLS = {
  thick: { name: 'vg0', directory: '/dev/vg0' },
  thin: { name: 'vg0/pool', directory: '/dev/vg0' },
  file: { name: '/var/lib/libvirt/images', directory: '/var/lib/libvirt/images' },
} as const satisfies Record<StorageKind, { name: string; directory: string }>

for (const storage of ['thick', 'thin', 'file'] as const) {
  volumesContract(`simulated ${storage}`, async () => {
    const sizeBytes = 4 * MIB
    const { name: pool, directory } = POOLS[storage]
    const world = createSimWorld()
    const blade = await world.blade('blade01', { pools: [{ name: pool, storage, sizeBytes: 5 * sizeBytes }] })
    return {
      volumes: blade.volumes,
      run: createSimRunner(systemClock),
      blank: name => ({
        path: `${directory}/${name}`,
        storage,
        pool,
        sizeBytes,
        allocatedBytes: 0,
        format: 'raw',
      }),
      async foreign(name) {
        const volumes = [{ kind: storage, sizeBytes }]
        const vm = {
          id: `${VM_ID}-${name}`,
          name,
          memoryBytes: MIB,
          volumes,
          running: false,
          contentBytes: 2 * MIB,
        }
        const path = (await blade.addVm(vm)).volumes[0]?.path ?? ''
        assert.ok(readFileSync(blade.hostPath(path)).some(byte => byte !== 0))
        const info = (await blade.volumes.inspect([path])).get(path)
        assert.ok(info !== undefined && 'sizeBytes' in info)
        return info
      },
      close: () => world.close(),
    }
  })
}

const SNAPSHOT_DISKS = { thick: ['thick'], thin: ['thin'], two: ['thick', 'thin'], file: ['file'] } as const

async function bladeWithSnapshots(): Promise<SnapshotsUnderTest> {
  const world = createSimWorld()
  const blade = await world.blade('blade01')
  const run = createSimRunner(systemClock)
  const knobs = blade.snapshotKnobs
  return {
    snapshots: blade.snapshots,
    run,
    kinds: ['thick', 'thin', 'two', 'file'],
    onBadKernel() {
      knobs.knownBadKernel = true
      return blade.snapshots
    },
    async addVm(kind) {
      const volumes = SNAPSHOT_DISKS[kind].map(storage => ({ kind: storage, sizeBytes: 16 * MIB }))
      await blade.addVm({ id: VM_ID, name: 'web01', memoryBytes: 64 * MIB, volumes })
      const vm = (await blade.hypervisor.list()).find(candidate => candidate.id === VM_ID)
      assert.ok(vm !== undefined)
      const infos = await blade.volumes.inspect(vm.volumes.map(volume => volume.path))
      return {
        ...vm,
        volumes: vm.volumes.map(({ target, path }) => {
          const info = infos.get(path)
          assert.ok(info !== undefined && 'sizeBytes' in info)
          return { target, ...info }
        }),
      }
    },
    async write(path, offsetBytes, data) {
      const handle = await open(blade.hostPath(path), 'r+')
      await handle.write(data, 0, data.length, offsetBytes)
      await handle.close()
    },
    state: id => blade.hypervisor.state(id),
    byHand: (id, act) =>
      act === 'pause' ? blade.hypervisor.pause(id, run) : blade.hypervisor.stop(id, true, 1000, run),
    async takeAndDie(plan) {
      // The agent's part of the work never goes on; what the blade does by itself does.
      const dead = knobs.holdNextTake()
      void blade.snapshots.take(plan, run)
      await dead.reached
    },
    async slowStorage() {
      knobs.hangNextTake()
      return { end: async () => {} }
    },
    async flood() {
      knobs.overflow = true
    },
    async close() {
      await world.close()
      assert.deepEqual(world.chassis.ledger.violations(), [])
    },
  }
}

snapshotsContract('simulated', bladeWithSnapshots)
