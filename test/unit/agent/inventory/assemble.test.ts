import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assembleCapacity, assembleVms, type Inspected } from '../../../../agent/inventory/assemble.ts'
import { reservedMemoryBytes } from '../../../../agent/inventory/reserve.ts'
import type { Vm, Volume } from '../../../../shared/domain/fleet.ts'
import { GIB, MIB } from '../../../../shared/domain/units.ts'

const volume = (path: string): Volume => ({
  target: 'vda',
  path,
  storage: 'file',
  pool: '',
  sizeBytes: 0,
  allocatedBytes: 0,
  format: 'raw',
})
const vm = (name: string, ...paths: string[]): Vm => ({
  id: `id-${name}`,
  name,
  state: 'running',
  memoryBytes: 1,
  vcpus: 1,
  volumes: paths.map(volume),
  networks: [],
  obstacles: [],
  epoch: 0,
  machine: '',
  cpuModel: '',
  persistent: true,
  incoming: false,
})
const NOTHING = { epochs: new Map(), arriving: new Set<string>(), inspected: new Map() as Inspected }

test('a volume is completed by what is really behind its path', () => {
  const info = {
    path: '/dev/vg0/web01',
    storage: 'thick',
    pool: 'vg0',
    sizeBytes: 64,
    allocatedBytes: 64,
    format: 'raw',
  } as const
  const [web] = assembleVms({
    ...NOTHING,
    vms: [vm('web01', '/dev/vg0/web01')],
    inspected: new Map([['/dev/vg0/web01', info]]),
    epochs: new Map([['id-web01', 7]]),
    arriving: new Set(['id-web01']),
  })
  assert.deepEqual(web?.volumes, [{ ...info, target: 'vda' }])
  assert.deepEqual([web?.epoch, web?.incoming, web?.obstacles], [7, true, []])
})

test('a disk that two VMs use is an obstacle for each of them', () => {
  const [a, b] = assembleVms({ ...NOTHING, vms: [vm('a', '/disk'), vm('b', '/disk')] })
  const shared = (each: Vm | undefined) =>
    each?.obstacles.find(obstacle => obstacle.code === 'disk-shared')?.text
  assert.match(shared(a) ?? '', /of b$/)
  assert.match(shared(b) ?? '', /of a$/)
})

test('a disk that cannot be examined is said, never skipped', () => {
  const failure = { error: 'no such file', code: 'disk-unreadable' } as const
  const [a] = assembleVms({ ...NOTHING, vms: [vm('a', '/x')], inspected: new Map([['/x', failure]]) })
  assert.deepEqual(a?.obstacles, [{ code: 'disk-unreadable', text: 'no such file' }])
})

test('equal inventories are equal texts, in whatever order the hypervisor lists', () => {
  const one = assembleVms({ ...NOTHING, vms: [vm('a'), vm('b')] })
  const two = assembleVms({ ...NOTHING, vms: [vm('b'), vm('a')] })
  assert.equal(JSON.stringify(one), JSON.stringify(two))
})

test('the reserve is at least 512 MiB, grows with the blade, and an administrator has the last word', () => {
  assert.equal(reservedMemoryBytes(GIB, undefined), 512 * MIB)
  assert.equal(reservedMemoryBytes(100 * GIB, undefined), 5 * GIB)
  assert.equal(reservedMemoryBytes(100 * GIB, 0), 0)
  const bare = { memoryBytes: GIB, cpus: 1, networks: ['b', 'a'], hypervisor: '', cpuModels: [] }
  assert.deepEqual(assembleCapacity(bare, [], 5).networks, ['a', 'b'])
  assert.equal(assembleCapacity(bare, [], 5).reservedMemoryBytes, 5)
})
