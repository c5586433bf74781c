import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whatIf } from '../../../../controller/capacity/what-if.ts'
import type { NewBlade, NewVm, WhatIf } from '../../../../controller/capacity/what-if-check.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { type FleetSketch, fleet } from '../../../fakes/fleet-builder.ts'

const VM: NewVm = {
  name: '',
  count: 1,
  memoryBytes: 8 * GIB,
  vcpus: 2,
  disksBytes: [100 * GIB],
  pool: '',
  networks: [],
}
const BLADE: NewBlade = { like: 'blade01', name: '', count: 1, memoryBytes: 0, maxVms: 0, chassis: '' }
const NOTHING: WhatIf = { remove: [], addVms: [], addBlades: [] }
const THREE: FleetSketch = {
  blades: [{ name: 'blade01' }, { name: 'blade02' }, { name: 'blade03', liveness: 'silent' }],
  vms: [
    { name: 'a', blade: 'blade01', memoryGib: 16 },
    { name: 'b', blade: 'blade02', memoryGib: 16 },
    { name: 'c', blade: 'blade03', memoryGib: 16, state: 'lost' },
  ],
}
const ask = (wish: Partial<WhatIf>, sketch = THREE) => whatIf(fleet(sketch), { ...NOTHING, ...wish })
const places = (answer: ReturnType<typeof ask>) =>
  answer.placements.map(
    ({ vm, to, method }) => `${vm.name} ${vm.blade === '' ? 'new' : `${method} ${vm.blade}`} → ${to}`,
  )

test('the VMs of a blade that goes are placed, and those of a silent one come from the vault', () => {
  assert.deepEqual(places(ask({ remove: ['blade01'] })), ['a live blade01 → blade02'])
  assert.deepEqual(places(ask({ remove: ['blade03'] })), ['c recover blade03 → blade01'])
})

test('new VMs go where the planner puts them, and N+1 is told before and after', () => {
  const answer = ask({ addVms: [{ ...VM, count: 2, memoryBytes: 30 * GIB }] })
  assert.deepEqual(places(answer), ['new-vm1 new → blade01', 'new-vm2 new → blade02'])
  assert.deepEqual(
    [answer.fits, answer.before.nPlusOne.kept, answer.after.nPlusOne.kept],
    [true, true, false],
  )
  assert.equal(answer.text, 'it fits: 2 VMs would find a place, and afterwards not every blade could fail')
  assert.deepEqual(
    answer.after.loads.map(load => [load.blade, load.vms, load.memoryUsedBytes / GIB]),
    [
      ['blade01', 2, 46],
      ['blade02', 2, 46],
      ['blade03', 1, 16],
    ],
  )
})

test('what does not fit is told with the reasons and the relief, and a larger blade may be the answer', () => {
  const large = { ...VM, memoryBytes: 62 * GIB }
  const answer = ask({ addVms: [large] })
  assert.equal(answer.fits, false)
  assert.deepEqual(
    answer.unplaced.map(({ vm, reasons }) => [vm, ...new Set(reasons.map(reason => reason.code))]),
    [['new-vm1', 'no-blade-left', 'memory-short', 'blade-not-up']],
  )
  assert.ok(
    answer.relief.some(each => each.kind === 'memory'),
    JSON.stringify(answer.relief),
  )
  const larger = { ...BLADE, memoryBytes: 96 * GIB }
  assert.deepEqual(places(ask({ addVms: [large], addBlades: [larger] })), ['new-vm1 new → new-blade1'])
})

test('another VM steps aside, if that is what it takes', () => {
  const answer = ask({ addVms: [{ ...VM, memoryBytes: 50 * GIB }] })
  assert.deepEqual(places(answer), ['a live blade01 → blade02', 'new-vm1 new → blade01'])
  assert.deepEqual(
    answer.placements.map(each => [each.role, ...each.needs]),
    [['makes-room'], ['leaves', 'id-a']],
  )
})

test('a blade like another has its size, and not its VMs', () => {
  const sketch: FleetSketch = {
    blades: [{ name: 'blade01', pools: [{ name: 'vg0', storage: 'thick', gib: 100, freeGib: 30 }] }],
    vms: [{ name: 'a', blade: 'blade01', disks: [{ pool: 'vg0', storage: 'thick', gib: 40 }] }],
  }
  const { after } = ask({ addBlades: [{ ...BLADE, name: 'blade02', memoryBytes: 128 * GIB }] }, sketch)
  assert.deepEqual(
    after.loads.map(load => [load.blade, load.memoryTotalBytes / GIB, load.pools[0]?.freeBytes]),
    [
      ['blade01', 60, 30 * GIB],
      ['blade02', 124, 70 * GIB],
    ],
  )
})

test('bad input is one error with all problems and an example', () => {
  const wrong = () =>
    ask({
      remove: ['blade77'],
      addVms: [
        { ...VM, name: 'a', count: 0, memoryBytes: 0 },
        { ...VM, pool: 'vg9', disksBytes: [-1] },
      ],
      addBlades: [
        { ...BLADE, like: 'blade78' },
        { ...BLADE, name: 'blade02', memoryBytes: GIB },
      ],
    })
  assert.throws(wrong, (error: unknown) => {
    assert.ok(error instanceof LifeboatError && error.code === 'bad-input')
    assert.deepEqual(error.details, [
      'there is no blade blade77, only blade01, blade02, blade03',
      'there is no blade blade78, only blade01, blade02, blade03',
      'of a there may be 1 to 1000, not 0',
      'a needs memory, as mem=8G',
      'a disk of a new VM has no size, as disk=100G',
      'no blade has the storage vg9, only vg0, vg0/pool',
      'blade02 would have less memory than the 4 GiB that it keeps for itself',
      'there would be two blades called blade02',
      'for example: lifeboat what-if --remove blade03 --add-vm mem=8G,disk=100G,count=2 --add-blade like=blade01',
    ])
    return true
  })
  assert.throws(() => ask({}), { code: 'bad-input' })
})

test('when blades that are not there are all that is wrong, it is told as an unknown blade always is', () => {
  const unknown = { code: 'not-found', message: 'there is no blade blade77, only blade01, blade02, blade03' }
  assert.throws(() => ask({ remove: ['blade77', 'blade01'] }), unknown)
  assert.throws(() => ask({ remove: ['blade77'], addBlades: [{ ...BLADE, like: 'blade77' }] }), unknown)
})
