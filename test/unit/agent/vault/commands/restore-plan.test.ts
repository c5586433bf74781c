import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findPoint, parsePointWord, pointsOfVm } from '../../../../../agent/vault/commands/find-point.ts'
import { planVolumes } from '../../../../../agent/vault/commands/restore-plan.ts'
import { formatManifest, type Manifest, parseManifest } from '../../../../../agent/vault/format/manifest.ts'
import type { PointSummary } from '../../../../../agent/vault/vault.ts'
import { draftOf, vmId } from '../../../../fakes/vault-dir.ts'

type Disk = Manifest['disks'][number]

function manifestOf(...disks: readonly Partial<Disk>[]): Manifest {
  const draft = draftOf({ seeds: [1] })
  const [usual] = draft.disks
  assert.ok(usual)
  return parseManifest(
    formatManifest({ ...draft, blade: '', disks: disks.map(disk => ({ ...usual, ...disk })) }),
  )
}

const thick = { target: 'vda', path: '/dev/vg0/web01', storage: 'thick', pool: 'vg0' } as const
const thin = {
  target: 'vdb',
  path: '/dev/mapper/vg0-web01--data',
  storage: 'thin',
  pool: 'vg0/pool',
} as const
const image = {
  target: 'vdc',
  path: '/srv/images/web01.qcow2',
  storage: 'file',
  pool: '/srv/images',
  format: 'qcow2',
} as const
const byHand = { target: 'vda', path: '/dev/sdb', storage: 'thick', pool: '' } as const

function places(manifest: Manifest, name: string, where: Parameters<typeof planVolumes>[2] = {}): string[] {
  return planVolumes(manifest, name, where).map(({ path, storage, pool }) => `${path} ${storage} ${pool}`)
}

test('under its own name a VM gets its disks where they were', () => {
  assert.deepEqual(places(manifestOf(thick, thin, image), 'vm1'), [
    '/dev/vg0/web01 thick vg0',
    '/dev/vg0/web01-data thin vg0/pool',
    '/srv/images/web01.qcow2 file /srv/images',
  ])
})

test('a copy gets disks of its own name beside them', () => {
  assert.deepEqual(places(manifestOf(thick, thin, image), 'web 01/ä'), [
    '/dev/vg0/web_01__-vda thick vg0',
    '/dev/vg0/web_01__-vdb thin vg0/pool',
    '/srv/images/web_01__-vdc.qcow2 file /srv/images',
  ])
})

test('another host has other places', () => {
  assert.deepEqual(places(manifestOf(thick), 'vm1', { vg: 'data' }), ['/dev/data/web01 thick data'])
  assert.deepEqual(places(manifestOf(thick), 'vm1', { thin: 'data/tp' }), ['/dev/data/web01 thin data/tp'])
  assert.deepEqual(places(manifestOf(thick, image), 'vm1', { images: '/mnt' }), [
    '/mnt/web01.raw file /mnt',
    '/mnt/web01.qcow2 file /mnt',
  ])
})

test('what cannot be is refused, with the way out', () => {
  assert.throws(
    () => places(manifestOf(image), 'vm1', { vg: 'data' }),
    /qcow2 file and cannot lie on an LV: give --images/,
  )
  assert.throws(
    () => places(manifestOf(byHand), 'vm1'),
    /say where it shall lie, by --vg, --thin or --images/,
  )
  assert.throws(() => places(manifestOf(thick), 'vm1', { thin: 'pool' }), /look like vg0\/pool/)
  assert.throws(() => places(manifestOf(thick), 'vm1', { vg: 'a', images: '/b' }), /give one of/)
})

function summary(vm: number, point: string, state: PointSummary['state'], name = `vm${vm}`): PointSummary {
  return {
    vmId: vmId(vm),
    vm: name,
    point,
    blade: '',
    at: 0,
    manifest: undefined,
    state,
    stateText: '',
    checkedAt: 0,
    boot: undefined,
  }
}

test('a person names a restore point by VM and moment, or the newest whole one by VM alone', () => {
  assert.deepEqual(parsePointWord('web01'), { vm: 'web01', point: undefined })
  assert.deepEqual(parsePointWord('web01@20261128T020512Z'), { vm: 'web01', point: '20261128T020512Z' })
  assert.deepEqual(parsePointWord('me@home'), { vm: 'me@home', point: undefined })
  const points = [
    summary(1, '20261129T020000Z', 'damaged'),
    summary(1, '20261128T020000Z', 'whole'),
    summary(1, '20261127T020000Z', 'whole'),
    summary(2, '20261127T020000Z', 'damaged', 'db01'),
    summary(3, '20261127T020000Z', 'whole', 'twice'),
    summary(4, '20261127T020000Z', 'whole', 'twice'),
  ]
  assert.equal(findPoint(points, 'vm1', '/srv/vault').point, '20261128T020000Z')
  assert.equal(findPoint(points, `${vmId(1)}@20261129T020000Z`, '/srv/vault').state, 'damaged')
  assert.throws(() => findPoint(points, 'db01', '/srv/vault'), /db01 has no whole restore point, of 1: /)
  assert.throws(
    () => findPoint(points, 'vm1@20200101T000000Z', '/srv/vault'),
    /has no restore point 20200101T000000Z/,
  )
  assert.throws(() => findPoint(points, 'nobody', '/srv/vault'), /no VM 'nobody': it has vm1, db01, twice/)
  assert.throws(() => findPoint(points, 'twice', '/srv/vault'), /2 VMs are named 'twice': give the id/)
  assert.equal(findPoint(points, vmId(4), '/srv/vault').vmId, vmId(4))
})

test('a vault of many VMs names twenty, and says how many more there are', () => {
  const points = Array.from({ length: 23 }, (_, index) => summary(index, '20261127T020000Z', 'whole'))
  assert.throws(() => pointsOfVm(points, 'nobody'), /it has vm0, .*, vm19 and 3 more$/)
})

test('a VM of exactly the name that was given is meant, though the name looks like a restore point', () => {
  const points = [
    summary(1, '20261128T020000Z', 'whole', 'web01'),
    summary(2, '20261129T020000Z', 'whole', 'web01@20261128T020000Z'),
    summary(3, '20261129T020000Z', 'whole', 'me@home'),
  ]
  assert.equal(findPoint(points, 'web01@20261128T020000Z', '/srv/vault').vmId, vmId(2))
  assert.equal(findPoint(points, 'me@home@20261129T020000Z', '/srv/vault').vmId, vmId(3))
  assert.throws(
    () => findPoint(points, 'you@home@20261129T020000Z', '/srv/vault'),
    /the vault has no VM 'you@home'/,
  )
})

test('a qcow2 image is given room for the disk in it', () => {
  const [volume] = planVolumes(manifestOf({ ...image, sizeBytes: 3, virtualBytes: 20 }), 'vm1', {})
  assert.equal(volume?.sizeBytes, 20)
})
