import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nPlusOne } from '../../../../controller/placement/survives.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { type FleetSketch, fleet } from '../../../fakes/fleet-builder.ts'

const blades = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `blade0${index + 1}` }))

test('N+1 holds while any one blade may die, and names the blade and the VM when not', () => {
  const full = (count: number) => ({
    blades: blades(3),
    vms: ['blade01', 'blade02', 'blade03'].flatMap(blade =>
      ['a', 'b', 'c', 'd'].slice(0, count).map(name => ({ name: `${blade}${name}`, blade })),
    ),
  })
  assert.equal(nPlusOne(fleet(full(2))).kept, true)
  const lost = nPlusOne(fleet(full(3)))
  assert.equal(lost.kept, false)
  assert.deepEqual(lost.notSurvivable[0], { blade: 'blade01', vms: ['blade01c'] })
  assert.match(lost.text, /^a failure would leave VMs without a place: blade01 \(blade01c\)/)
})

test('a VM that is paused or moves right now does not take the N+1 away', () => {
  const vms = [
    { name: 'a', blade: 'blade01', state: 'paused' as const },
    { name: 'b', blade: 'blade01', state: 'moving' as const, operation: 'o1' },
  ]
  assert.equal(nPlusOne(fleet({ blades: blades(2), vms })).kept, true)
})

/** a moves from blade01 to blade02, which has room for it and for nothing else. */
const moving = (others: FleetSketch['vms'] = []) =>
  fleet({
    blades: [
      { name: 'blade01', memoryGib: 12 },
      { name: 'blade03', memoryGib: 12 },
      {
        name: 'blade02',
        memoryGib: 16,
        reservations: [
          {
            operation: 'o1',
            vmId: 'id-a',
            vmName: 'a',
            memoryBytes: 12 * GIB,
            volumes: [{ pool: 'vg0', storage: 'thick', bytes: 300 * GIB }],
          },
        ],
      },
    ],
    vms: [
      {
        name: 'a',
        blade: 'blade01',
        memoryGib: 12,
        operation: 'o1',
        disks: [{ pool: 'vg0', storage: 'thick', gib: 300 }],
      },
      ...others,
    ],
  })

test('what is promised to a VM that moves does not stand in the way of its own return', () => {
  assert.deepEqual(nPlusOne(moving()).notSurvivable, [])
})

test('others find that room taken', () => {
  const disks = [{ pool: 'vg0', storage: 'thick', gib: 250 }] as const
  const found = nPlusOne(moving([{ name: 'b', blade: 'blade03', disks }]))
  assert.deepEqual(found.notSurvivable, [{ blade: 'blade03', vms: ['b'] }])
})
