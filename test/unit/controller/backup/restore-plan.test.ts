import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planRestore, type RestoreWish } from '../../../../controller/backup/restore-plan.ts'
import type { SavedDisk } from '../../../../controller/backup/volumes.ts'
import type { FleetSnapshot } from '../../../../controller/fleet/snapshot.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { fleet, type PoolSketch } from '../../../fakes/fleet-builder.ts'

const DISK: SavedDisk = {
  target: 'vda',
  sizeBytes: 20 * GIB,
  format: 'raw',
  storage: 'thick',
  pool: 'vg0',
  path: '/dev/vg0/web01',
}

function wish(change: Partial<RestoreWish> = {}): RestoreWish {
  return {
    purpose: 'restore',
    id: 'id-new',
    name: 'web02',
    savedName: 'web01',
    disks: [DISK],
    memoryBytes: 4 * GIB,
    vcpus: 2,
    networks: ['br0'],
    machine: 'pc',
    cpuModel: '',
    start: true,
    to: '',
    prefer: '',
    override: false,
    sparesKept: false,
    besideNPlusOne: false,
    ...change,
  }
}
const withPools = (...pools: PoolSketch[]): FleetSnapshot =>
  fleet({ blades: [{ name: 'blade01', pools }], vms: [] })
const placesOf = (snapshot: FleetSnapshot, change: Partial<RestoreWish> = {}) =>
  planRestore(snapshot, wish(change)).vm.volumes.map(
    volume => `${volume.storage} ${volume.pool} ${volume.path}`,
  )

const DISKS: readonly {
  name: string
  pools: PoolSketch[]
  change?: Partial<RestoreWish>
  expect: readonly string[]
}[] = [
  {
    name: 'its own pool, under a name of the new VM',
    pools: [
      { name: 'vg0', storage: 'thick', gib: 100 },
      { name: 'vg1', storage: 'thick', gib: 900 },
    ],
    expect: ['thick vg0 /dev/vg0/web02'],
  },
  {
    name: 'its own path under its own name',
    pools: [{ name: 'vg0', storage: 'thick', gib: 100 }],
    change: { name: 'web01', disks: [{ ...DISK, path: '/dev/vg0/disk-7' }] },
    expect: ['thick vg0 /dev/vg0/disk-7'],
  },
  {
    name: 'another pool of the kind when its own is full',
    pools: [
      { name: 'vg0', storage: 'thick', gib: 100, freeGib: 10 },
      { name: 'vg1', storage: 'thick', gib: 100 },
    ],
    expect: ['thick vg1 /dev/vg1/web02'],
  },
  {
    name: 'thick to thin where there is no other',
    pools: [{ name: 'vg0/pool', storage: 'thin', gib: 100 }],
    expect: ['thin vg0/pool /dev/vg0/web02'],
  },
  {
    name: 'an LV to a file where there is nothing else',
    pools: [{ name: '/srv/images', storage: 'file', gib: 100 }],
    expect: ['file /srv/images /srv/images/web02.img'],
  },
  {
    name: 'a qcow2 image is a file and stays one',
    pools: [
      { name: 'vg0', storage: 'thick', gib: 900 },
      { name: '/srv/images', storage: 'file', gib: 100 },
    ],
    change: {
      disks: [
        { ...DISK, format: 'qcow2', storage: 'file', pool: '/var/images', path: '/var/images/web01.qcow2' },
      ],
    },
    expect: ['file /srv/images /srv/images/web02.qcow2'],
  },
  {
    name: 'two disks that do not fit into one pool together',
    pools: [
      { name: 'vg0', storage: 'thick', gib: 30 },
      { name: 'vg1', storage: 'thick', gib: 30 },
    ],
    change: { disks: [DISK, { ...DISK, target: 'vdb', path: '/dev/vg0/web01-data' }] },
    expect: ['thick vg0 /dev/vg0/web02', 'thick vg1 /dev/vg1/web02-data'],
  },
  {
    name: 'a name that no LV may have',
    pools: [{ name: 'vg0', storage: 'thick', gib: 100 }],
    change: { name: 'Büro 2', savedName: 'Büro', disks: [{ ...DISK, path: '/dev/vg0/x' }] },
    expect: ['thick vg0 /dev/vg0/B-ro-2-vda'],
  },
]

for (const { name, pools, change, expect } of DISKS) {
  test(`disks: ${name}`, () => assert.deepEqual(placesOf(withPools(...pools), change ?? {}), expect))
}

test('a path that a VM there has is left to it', () => {
  const snapshot = fleet({
    blades: [{ name: 'blade01' }],
    vms: [{ name: 'web02', blade: 'blade01' }],
  })
  // fleet-builder names the volume of web02 /dev/vg0/web02-0
  const found = planRestore(
    snapshot,
    wish({ name: 'web03', savedName: 'x', disks: [{ ...DISK, path: '/dev/vg0/a' }] }),
  )
  assert.equal(found.vm.volumes[0]?.path, '/dev/vg0/web03-vda')
  const same = { ...DISK, path: '/dev/vg0/web02-0' }
  const taken = planRestore(snapshot, wish({ name: 'web09', savedName: 'web09', disks: [same] }))
  assert.notEqual(taken.vm.volumes[0]?.path, '/dev/vg0/web02-0')
})

const refused = (snapshot: FleetSnapshot, change: Partial<RestoreWish> = {}): readonly string[] => {
  try {
    planRestore(snapshot, wish(change))
    return []
  } catch (error) {
    return (error as { details: string[] }).details
  }
}

test('the gate: nothing on a blade that is not up, healthy and in service, nothing without room (rules 5 and 6)', () => {
  const sound = { name: 'blade01' }
  const one = (change: object, vms: { name: string; blade: string }[] = []) =>
    fleet({ blades: [{ ...sound, ...change }], vms })
  assert.deepEqual(refused(one({})), [])
  assert.match(refused(one({ admin: 'cordoned' })).join(), /cordoned/)
  assert.match(refused(one({ health: 'moderate' })).join(), /health/)
  assert.match(refused(one({ liveness: 'silent' })).join(), /does not report/)
  assert.match(refused(one({ memoryGib: 2 })).join(), /needs 4 GiB of memory/)
  assert.deepEqual(
    refused(one({ memoryGib: 2 }), { start: false }),
    [],
    'one that is not started takes no memory',
  )
  assert.match(refused(one({ networks: [] })).join(), /br0/)
  const full = one({ maxVms: 1 }, [{ name: 'db01', blade: 'blade01' }])
  assert.match(refused(full).join(), /1 of at most 1 VMs/)
  assert.deepEqual(refused(full, { to: 'blade01', override: true }), [], 'a person may pass over it')
  assert.notDeepEqual(refused(full, { override: true }), [], 'for a blade that was named')
  assert.match(refused(full, { to: 'blade01' }).at(-1) ?? '', /without `--to` it goes to the best blade/)
  assert.deepEqual(refused(full, { purpose: 'volume', networks: [] }), [], 'a volume is no VM')
})

test('the best blade takes it, and a boot test only beside N+1', () => {
  const snapshot = fleet({
    blades: [
      { name: 'blade01', memoryGib: 16 },
      { name: 'blade02', memoryGib: 16 },
    ],
    vms: [{ name: 'db01', blade: 'blade01', memoryGib: 12 }],
  })
  assert.equal(planRestore(snapshot, wish()).to, 'blade02')
  assert.equal(planRestore(snapshot, wish({ prefer: 'blade01' })).to, 'blade01')
  assert.equal(planRestore(snapshot, wish({ prefer: 'blade01', memoryBytes: 5 * GIB })).to, 'blade02')
  const large = { memoryBytes: 6 * GIB }
  assert.equal(planRestore(snapshot, wish(large)).to, 'blade02')
  // There it takes the room that db01 needs should blade01 fail.
  const why = refused(snapshot, { ...large, besideNPlusOne: true }).join()
  assert.match(why, /with web02 on blade02 a failure would leave VMs without a place: blade01 \(db01\)/)
  assert.match(why, /`--to blade02` puts it on blade02 all the same/)
})

test('a boot test without a place is called by its VM, with what a person can do', () => {
  const snapshot = fleet({
    blades: [
      { name: 'blade01', admin: 'cordoned' },
      { name: 'blade02', memoryGib: 1 },
    ],
    vms: [],
  })
  const change = { name: 'lifeboat-test-63dbddbb', title: 'the boot test of web01' }
  assert.throws(() => planRestore(snapshot, wish(change)), {
    message: 'the boot test of web01 finds no place on any blade',
    details: [
      'blade01 is cordoned',
      'the boot test of web01 needs 4 GiB of memory, blade02 has 1 GiB beside the reserve of 4 GiB',
      '`lifeboat blade uncordon blade01` lets blade01 take VMs again',
    ],
  })
})

test('a boot test takes no room that volumes kept after a move hold (rule 3); a restore may', () => {
  const kept = withPools({ name: 'vg0', storage: 'thick', gib: 100, freeGib: 15, reclaimableGib: 30 })
  assert.deepEqual(refused(kept), [])
  assert.match(refused(kept, { sparesKept: true }).join(), /needs 20 GiB in vg0, blade01 has 15 GiB there/)
  const other = withPools(
    { name: 'vg0', storage: 'thick', gib: 100, freeGib: 15, reclaimableGib: 30 },
    { name: 'vg1', storage: 'thick', gib: 100, freeGib: 25 },
  )
  assert.deepEqual(placesOf(other), ['thick vg0 /dev/vg0/web02'])
  assert.deepEqual(placesOf(other, { sparesKept: true }), ['thick vg1 /dev/vg1/web02'])
})
