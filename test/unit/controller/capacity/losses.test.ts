import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lossText } from '../../../../controller/capacity/loss-words.ts'
import { lossesOf } from '../../../../controller/capacity/losses.ts'
import type { PointOf } from '../../../../controller/capacity/return-point.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { type BladeSketch, type FleetSketch, fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

const EVERY_VM: PointOf = () => ({ name: '20260301T000000Z', at: NIGHT, sizeBytes: 8 * GIB, verified: true })
const blades = (count: number, rest: Partial<BladeSketch> = {}): BladeSketch[] =>
  Array.from({ length: count }, (_, index) => ({ name: `blade0${index + 1}`, ...rest }))
const on = (blade: string, ...names: readonly string[]) => names.map(name => ({ name, blade }))
const losses = (sketch: FleetSketch, pointOf = EVERY_VM, blade = '') =>
  lossesOf({ snapshot: fleet(sketch), pointOf, blade })
const texts = (...args: Parameters<typeof losses>) => losses(...args).map(lossText)

test('each blade, chassis, feed and switch is asked about, and a second feed saves a blade', () => {
  const told = texts({
    blades: [...blades(2), { name: 'blade03', chassis: 'chassis2', feeds: ['feed-b'], switches: [] }],
    vms: [...on('blade01', 'a', 'b'), ...on('blade03', 'c')],
  })
  assert.deepEqual(told, [
    'blade01 takes 2 VMs with it: all find a place, the last is back after about 3 min 38 s',
    'blade02 takes no VM with it',
    'blade03 takes 1 VM with it: all find a place, the last is back after about 1 min 49 s',
    'chassis chassis1 takes 2 VMs with it: all find a place, the last is back after about 3 min 38 s',
    'chassis chassis2 takes 1 VM with it: all find a place, the last is back after about 1 min 49 s',
    'no blade depends on feed feed-a alone',
    'feed feed-b takes 1 VM with it: all find a place, the last is back after about 1 min 49 s',
    'no blade depends on switch switch-a alone',
    'no blade depends on switch switch-b alone',
  ])
})

test('the only chassis takes everything with it', () => {
  const chassis = losses({ blades: blades(3), vms: on('blade01', 'a', 'b') }).find(
    loss => loss.kind === 'chassis',
  )
  assert.deepEqual([chassis?.blades, chassis?.bladesLeft], [['blade01', 'blade02', 'blade03'], 0])
  assert.match(
    lossText(chassis ?? assert.fail()),
    /^chassis chassis1 takes 2 VMs with it: no blade is left to take them$/,
  )
  assert.deepEqual(
    chassis?.unplaced.map(each => [each.vm, each.reasons[0]?.code]),
    [
      ['a', 'no-blade-left'],
      ['b', 'no-blade-left'],
    ],
  )
})

test('a VM without a restore point has its place all the same, and is told', () => {
  const [loss] = losses({ blades: blades(2), vms: on('blade01', 'a', 'b') }, id =>
    id === 'id-a' ? undefined : EVERY_VM(id),
  )
  assert.deepEqual(loss?.withoutPoint, ['a'])
  assert.deepEqual(
    loss?.returns.map(({ vm, to, point, backAfterMs }) => [
      vm.name,
      to,
      point?.name ?? '',
      Math.round(backAfterMs / 1000),
    ]),
    [
      ['a', 'blade02', '', 0],
      ['b', 'blade02', '20260301T000000Z', 109],
    ],
  )
  assert.match(
    lossText(loss ?? assert.fail()),
    /: all find a place, .*; 1 without a restore point to come back from$/,
  )
})

test('what keeps a VM from moving does not keep it from coming back, but a device of the blade does', () => {
  const vms = [
    { name: 'cd', blade: 'blade01', obstacles: [{ code: 'host-cdrom' as const, text: 'a CD-ROM' }] },
    { name: 'gpu', blade: 'blade01', obstacles: [{ code: 'passed-through-device' as const, text: 'a GPU' }] },
    { name: 'frozen', blade: 'blade01', state: 'paused' as const, operation: 'o1' },
  ]
  const [loss] = losses({ blades: blades(2), vms })
  assert.deepEqual(
    loss?.returns.map(each => each.vm.name),
    ['cd', 'frozen'],
  )
  assert.deepEqual(
    loss?.unplaced.map(each => [each.vm, each.reasons[0]?.code]),
    [['gpu', 'passed-through-device']],
  )
})

test('one that fits only where the emptiest blade is left to it is found a place', () => {
  // The emptiest first would put the 20 GiB one on blade02, and leave nothing that takes both others.
  const [loss] = losses({
    blades: [{ name: 'blade01' }, { name: 'blade02', memoryGib: 24 }, { name: 'blade03', memoryGib: 20 }],
    vms: [
      { name: 'a', blade: 'blade01', memoryGib: 20 },
      { name: 'b', blade: 'blade01', memoryGib: 12 },
      { name: 'c', blade: 'blade01', memoryGib: 12 },
    ],
  })
  assert.deepEqual(
    loss?.returns.map(({ vm, to }) => `${vm.name} ${to}`),
    ['a blade03', 'b blade02', 'c blade02'],
  )
})

test('one blade can be asked about: it, and what takes it with it', () => {
  const asked = losses(
    {
      blades: [{ name: 'blade01', feeds: ['feed-a'] }, { name: 'blade02' }],
      vms: on('blade01', 'a'),
    },
    EVERY_VM,
    'blade01',
  )
  assert.deepEqual(
    asked.map(({ kind, name }) => `${kind} ${name}`),
    ['blade blade01', 'chassis chassis1', 'feed feed-a'],
  )
})
