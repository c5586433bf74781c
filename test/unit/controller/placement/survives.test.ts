import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nPlusOne } from '../../../../controller/placement/survives.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { type FleetSketch, fleet } from '../../../fakes/fleet-builder.ts'

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
