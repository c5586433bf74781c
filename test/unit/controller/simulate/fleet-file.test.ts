import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFleet } from '../../../../controller/simulate/fleet-file.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { LifeboatError } from '../../../../shared/errors.ts'

const BASE = {
  format: 'lifeboat-fleet-1',
  blades: [
    { name: 'blade01', memoryGib: 64, pools: [{ name: 'vg0', gib: 500 }], networks: ['br0'] },
    { name: 'blade02', memoryGib: 64, feeds: ['feed-a'], switches: ['switch-a'] },
  ],
  vms: [
    { name: 'web01', blade: 'blade01', memoryGib: 8, volumes: [{ pool: 'vg0', gib: 80 }], networks: ['br0'] },
    { name: 'db01', blade: 'blade02', memoryGib: 16, state: 'stopped' },
  ],
}

function read(file: unknown) {
  return readFleet(JSON.stringify(file))
}

function problemsOf(file: unknown): readonly string[] {
  try {
    read(file)
  } catch (error) {
    assert.ok(error instanceof LifeboatError && error.code === 'bad-input')
    return error.details
  }
  return []
}

test('what is not said is sound, up and in service; the room of a pool is what its volumes leave', () => {
  const { fleet, events } = read(BASE)
  const [blade] = fleet.blades
  assert.deepEqual(
    [blade?.admin, blade?.health, blade?.liveness, blade?.maxVms, blade?.capacity?.reservedMemoryBytes],
    ['in-service', 'healthy', 'up', 4, 4 * GIB],
  )
  assert.equal(blade?.capacity?.pools[0]?.freeBytes, 420 * GIB)
  assert.deepEqual(
    fleet.vms.map(vm => `${vm.name} ${vm.state}`),
    ['db01 stopped', 'web01 running'],
  )
  assert.deepEqual(events, [])
})

test('defaults lie under every blade and VM, those of events too; config is that of the controller', () => {
  const { fleet, events, config } = read({
    format: 'lifeboat-fleet-1',
    config: {
      placement: { max_vms_per_blade: 6, rule: [{ name: 'pair', kind: 'apart', vms: ['a', 'b'] }] },
      evacuation: { hold_s: 5 },
    },
    rates: { copyMbPerSecond: 120 },
    defaults: { blade: { memoryGib: 32 }, vm: { memoryGib: 2 } },
    blades: [{ name: 'blade01' }, { name: 'blade02', memoryGib: 16 }],
    vms: [{ name: 'a', blade: 'blade01' }],
    events: [
      { atSeconds: 9, what: 'vm-added', vm: { name: 'b' } },
      { atSeconds: 1.5, what: 'cordoned', blade: 'blade02' },
    ],
  })
  assert.deepEqual(
    fleet.blades.map(blade => [(blade.capacity?.memoryBytes ?? 0) / GIB, blade.maxVms]),
    [
      [32, 6],
      [16, 6],
    ],
  )
  assert.equal(fleet.vms[0]?.memoryBytes, 2 * GIB)
  assert.deepEqual(
    events.map(event => [event.atMs, event.what]),
    [
      [1500, 'cordoned'],
      [9000, 'vm-added'],
    ],
  )
  assert.equal(config.evacuation.holdMs, 5000)
  assert.equal(fleet.rates.copyBytesPerSecond, 120e6)
  assert.equal(fleet.rules.groups[0]?.name, 'pair')
})

test('what is wrong in form is told first, all of it, by its path', () => {
  assert.deepEqual(
    problemsOf({
      ...BASE,
      format: 2,
      blades: [{ name: '', memoryGib: -1, admin: 'away', colour: 'red' }],
      vms: [{ name: 'a', blade: 'blade01', memoryGib: 1e6, volumes: [{ pool: 'vg0', gib: 1e6 }] }],
      config: { placement: { vcpu_ratio: 'many' } },
      events: [{ atSeconds: 1, what: 'earthquake' }],
    }).map(line => line.split(': ')[0]),
    [
      'format',
      'blades.0.name',
      'blades.0.memoryGib',
      'blades.0.admin',
      'blades.0',
      'vms.0.memoryGib',
      'vms.0.volumes.0.gib',
      'events.0.what',
      'config.placement.vcpu_ratio',
    ],
  )
})

test('what makes no sense is told, all of it', () => {
  const file = {
    ...BASE,
    switches: ['switch-b'],
    feeds: ['feed-a'],
    blades: [
      ...BASE.blades,
      { name: 'blade01', memoryGib: 2, pools: [{ name: 'vg0', gib: 10, freeGib: 8, reclaimableGib: 3 }] },
    ],
    vms: [
      ...BASE.vms,
      { name: 'web01', blade: 'blade09', memoryGib: 1 },
      { name: 'big', blade: 'blade02', memoryGib: 80, volumes: [{ pool: 'vg1', gib: 1 }], networks: ['br7'] },
    ],
    config: { placement: { vm: [{ name: 'nobody', blades: ['blade77'] }] } },
    events: [
      { atSeconds: 2, what: 'vm-stopped', vm: 'new01' },
      { atSeconds: 1, what: 'vm-added', vm: { name: 'new01', memoryGib: 1 } },
      { atSeconds: 3, what: 'vm-added', vm: { name: 'db01', memoryGib: 1 } },
      { atSeconds: 4, what: 'switch-lost', switch: 'switch-z' },
    ],
  }
  assert.deepEqual(problemsOf(file), [
    'blades.2.name: blade01 is there twice',
    'vms.2.name: web01 is there twice',
    'blades.1.switches: blade02 names switch-a, which is not in switches of the file',
    'blades.1.memoryGib: blade02 has 60 GiB of memory beside its reserve, and its VMs use 80 GiB',
    'blades.2.reservedMemoryGib: blade01 reserves 4 of 2 GiB',
    'blades.2.pools.0: vg0 of blade01 has 10 GiB; its volumes take 80, 3 are reclaimable, 8 free',
    'vms.2.blade: web01 is on blade09, which is no blade',
    'vms.3.volumes.0.pool: blade02 has no thick pool vg1',
    'vms.3.networks: big is plugged into br7, which blade02 does not have',
    'events.2.vm.name: db01 is there already',
    'events.3.switch: there is no switch switch-z',
    'config.placement.vm.0.name: there is no VM nobody',
    'config.placement.vm.0.blades: there is no blade blade77',
  ])
})

test('a file that is cut off says so, with its last line', () => {
  assert.throws(() => readFleet('{\n  "format": "lifeboat-fleet-1",\n  "blades": ['), {
    code: 'bad-input',
    details: ['line 3: is no JSON: it ends too early'],
  })
  assert.throws(() => readFleet('hello'), { code: 'bad-input', details: ['line 1: is no JSON'] })
  assert.throws(() => readFleet('default|g1|preferred||\n'), {
    details: ['line 1: is no JSON', "whole file: the text of Ganeti's htools is read with --format ganeti"],
  })
  assert.throws(() => readFleet(`{\n"format": ${' '.repeat(200)}\n what }`), {
    details: ['line 3: is no JSON'],
  })
  assert.throws(() => readFleet('{\n"format": "lifeboat\n}'), { details: ['line 2: is no JSON'] })
})
