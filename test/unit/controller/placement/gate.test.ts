import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AdmitOptions, admit, recheckMove, whyNot } from '../../../../controller/placement/gate.ts'
import type { ReasonCode } from '../../../../shared/domain/reason.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { type BladeSketch, fleet, type VmSketch, vmNamed } from '../../../fakes/fleet-builder.ts'

interface Story {
  readonly name: string
  readonly target?: Partial<BladeSketch>
  readonly vm?: Partial<VmSketch>
  /** VMs on the target. */
  readonly there?: readonly Partial<VmSketch>[]
  readonly options?: AdmitOptions
  readonly expect: readonly ReasonCode[]
}

function world(story: Story) {
  return fleet({
    blades: [{ name: 'blade01' }, { name: 'blade02', ...story.target }],
    vms: [
      { name: 'web01', blade: 'blade01', ...story.vm },
      ...(story.there ?? []).map((vm, index) => ({ name: `old${index}`, blade: 'blade02', ...vm })),
    ],
  })
}

const reservation = (vmId: string, memoryGib: number, gib: number) => ({
  operation: 'o1',
  vmId,
  vmName: vmId,
  memoryBytes: memoryGib * GIB,
  volumes: [{ pool: 'vg0', storage: 'thick', bytes: gib * GIB }],
})
const FOUR = [{}, {}, {}, {}]

const MOVES: readonly Story[] = [
  { name: 'a sound, roomy blade takes it', expect: [] },
  { name: 'a cordoned blade does not', target: { admin: 'cordoned' }, expect: ['blade-not-in-service'] },
  { name: 'nor one in maintenance', target: { admin: 'maintenance' }, expect: ['blade-not-in-service'] },
  { name: 'nor a moderate one', target: { health: 'moderate' }, expect: ['blade-not-healthy'] },
  { name: 'nor one of unknown health', target: { health: 'unknown' }, expect: ['blade-not-healthy'] },
  { name: 'nor a suspect one', target: { liveness: 'suspect' }, expect: ['blade-not-up'] },
  { name: 'nor a fenced one', target: { liveness: 'fenced' }, expect: ['blade-not-up'] },
  {
    name: 'all reasons are told, not the first',
    target: { admin: 'cordoned', health: 'severe', liveness: 'silent' },
    expect: ['blade-not-up', 'blade-not-in-service', 'blade-not-healthy'],
  },
  { name: 'a fourth VM is taken', there: [{}, {}, {}], expect: [] },
  { name: 'a fifth is not', there: FOUR, expect: ['vm-limit'] },
  {
    name: 'VMs that are off count: they may be started',
    there: [{ state: 'stopped' }, { state: 'stopped' }, {}, {}],
    expect: ['vm-limit'],
  },
  {
    name: 'a VM that is still to come counts',
    there: [{}, {}, {}],
    target: { reservations: [reservation('id-other', 1, 1)] },
    expect: ['vm-limit'],
  },
  {
    name: 'its own reservation is not in its way',
    there: [{}, {}, {}],
    vm: { memoryGib: 40, disks: [{ pool: 'vg0', storage: 'thick', gib: 300 }] },
    target: { reservations: [reservation('id-web01', 40, 300)] },
    expect: [],
  },
  {
    name: 'a reservation of a VM that has arrived does not count twice',
    there: [{ memoryGib: 40 }],
    vm: { memoryGib: 20 },
    target: { reservations: [reservation('id-old0', 40, 490)] },
    expect: [],
  },
  {
    name: 'memory to the last byte is enough',
    vm: { memoryGib: 20 },
    there: [{ memoryGib: 40 }],
    expect: [],
  },
  { name: 'one more is not', vm: { memoryGib: 21 }, there: [{ memoryGib: 40 }], expect: ['memory-short'] },
  {
    name: 'memory promised to a VM under way is taken',
    vm: { memoryGib: 21 },
    target: { reservations: [reservation('id-other', 40, 1)] },
    expect: ['memory-short'],
  },
  {
    name: 'a VM that is off needs no memory and gives none to others',
    vm: { memoryGib: 80, state: 'stopped' },
    there: [{ memoryGib: 80, state: 'stopped' }],
    expect: [],
  },
  {
    name: 'a paused VM holds its memory',
    there: [{ memoryGib: 58, state: 'paused' }],
    expect: ['memory-short'],
  },
  {
    name: 'a disk of 500 GiB fits into 500, kept volumes give way',
    vm: { disks: [{ pool: 'vg0', storage: 'thick', gib: 500 }] },
    target: { pools: [{ name: 'vg0', storage: 'thick', gib: 500, freeGib: 100, reclaimableGib: 400 }] },
    expect: [],
  },
  {
    name: 'room promised to a VM under way is taken',
    vm: { disks: [{ pool: 'vg0', storage: 'thick', gib: 101 }] },
    target: { reservations: [reservation('id-other', 1, 400)] },
    expect: ['storage-short'],
  },
  {
    name: 'two disks in one pool are counted together',
    vm: {
      disks: [
        { pool: 'vg0', storage: 'thick', gib: 300 },
        { pool: 'vg0', storage: 'thick', gib: 300 },
      ],
    },
    expect: ['storage-short'],
  },
  {
    name: 'a thin disk counts with its whole size',
    vm: { disks: [{ pool: 'vg0/pool', storage: 'thin', gib: 501, allocatedGib: 1 }] },
    expect: ['storage-short'],
  },
  {
    name: 'a pool of that name but another kind is none',
    vm: { disks: [{ pool: 'vg0', storage: 'thin', gib: 1 }] },
    expect: ['storage-missing'],
  },
  { name: 'a missing network', vm: { networks: ['br0', 'br7'] }, expect: ['network-missing'] },
  {
    name: 'a CPU model the blade does not have',
    vm: { cpuModel: 'Skylake-Server' },
    target: { cpuModels: ['Haswell'] },
    expect: ['cpu-model-missing'],
  },
  { name: 'CPU models that are not told are not checked', vm: { cpuModel: 'Skylake-Server' }, expect: [] },
  {
    name: 'a name that is taken',
    there: [{ name: 'web01', id: 'id-else' }],
    expect: ['name-taken', 'name-taken'],
  },
  { name: 'a VM of an operation', vm: { operation: 'o9' }, expect: ['vm-busy'] },
  { name: 'the operation itself may ask', vm: { operation: 'o9' }, options: { operation: 'o9' }, expect: [] },
  { name: 'a paused VM', vm: { state: 'paused' }, expect: ['vm-not-running'] },
  { name: 'a crashed VM', vm: { state: 'crashed' }, expect: ['vm-not-running'] },
  {
    name: 'what the agent says too is told once',
    vm: { persistent: false, obstacles: [{ code: 'vm-transient', text: 'transient' }] },
    expect: ['vm-transient'],
  },
  { name: 'a transient VM', vm: { persistent: false }, expect: ['vm-transient'] },
  {
    name: 'what the agent says stands in the way',
    vm: { obstacles: [{ code: 'host-cdrom', text: 'cd' }] },
    expect: ['host-cdrom'],
  },
  {
    name: 'an administrator passes over rules 5 and 6',
    vm: { memoryGib: 80 },
    there: FOUR,
    target: { admin: 'cordoned', health: 'moderate' },
    options: { override: true },
    expect: [],
  },
  {
    name: 'but not over what cannot work',
    vm: { networks: ['br7'], state: 'paused', disks: [{ pool: 'vg9', storage: 'thick', gib: 1 }] },
    target: { liveness: 'silent' },
    options: { override: true },
    expect: ['vm-not-running', 'blade-not-up', 'storage-missing', 'network-missing'],
  },
]

for (const story of MOVES) {
  test(`to another blade: ${story.name}`, () => {
    const snapshot = world(story)
    const vm = vmNamed({ ...snapshot, vms: snapshot.vms.filter(each => each.blade === 'blade01') }, 'web01')
    const reasons = admit(snapshot, vm, 'blade02', story.options)
    assert.deepEqual(
      reasons.map(reason => reason.code),
      story.expect,
    )
    for (const reason of reasons) assert.ok(reason.text.includes(reason.blade ?? ''), reason.text)
  })
}

test('a refusal carries the numbers behind it', () => {
  const snapshot = world({ name: '', vm: { memoryGib: 21 }, there: [{ memoryGib: 40 }], expect: [] })
  assert.deepEqual(admit(snapshot, vmNamed(snapshot, 'web01'), 'blade02'), [
    {
      code: 'memory-short',
      blade: 'blade02',
      text: 'web01 needs 21 GiB of memory, blade02 has 20 GiB beside the reserve of 4 GiB',
      needed: 21 * GIB,
      available: 20 * GIB,
    },
  ])
})

const STARTS: readonly (Omit<Story, 'target' | 'there'> & {
  readonly home?: Partial<BladeSketch>
  readonly beside?: readonly Partial<VmSketch>[]
})[] = [
  {
    name: 'a stopped VM starts where it is, though its own volumes fill the pool',
    home: { pools: [{ name: 'vg0', storage: 'thick', gib: 20, freeGib: 0 }] },
    expect: [],
  },
  {
    name: 'not without memory',
    vm: { memoryGib: 21 },
    beside: [{ memoryGib: 40 }],
    expect: ['memory-short'],
  },
  { name: 'not as the fifth in memory', beside: FOUR, expect: ['vm-limit'] },
  {
    name: 'as the fifth on the blade, when another one is off',
    beside: [{}, {}, {}, { state: 'stopped' }],
    expect: [],
  },
  {
    name: 'not on a cordoned or failing blade',
    home: { admin: 'cordoned', health: 'severe' },
    expect: ['blade-not-in-service', 'blade-not-healthy'],
  },
  {
    name: 'unless a person insists',
    home: { admin: 'cordoned', health: 'severe' },
    options: { override: true },
    expect: [],
  },
  {
    name: 'with a passed-through device: that only hinders moving',
    vm: { obstacles: [{ code: 'passed-through-device', text: 'gpu' }] },
    expect: [],
  },
  { name: 'not while an operation works on it', vm: { operation: 'o3' }, expect: ['vm-busy'] },
]

for (const story of STARTS) {
  test(`start: ${story.name}`, () => {
    const snapshot = fleet({
      blades: [{ name: 'blade01', ...story.home }],
      vms: [
        { name: 'web01', blade: 'blade01', state: 'stopped', ...story.vm },
        ...(story.beside ?? []).map((vm, index) => ({ name: `old${index}`, blade: 'blade01', ...vm })),
      ],
    })
    const reasons = admit(snapshot, vmNamed(snapshot, 'web01'), 'blade01', story.options)
    assert.deepEqual(
      reasons.map(reason => reason.code),
      story.expect,
    )
  })
}

test('a blade that is not there, or has not reported, takes nothing', () => {
  const snapshot = world({ name: '', expect: [] })
  const silent = { ...snapshot, blades: snapshot.blades.map(blade => ({ ...blade, capacity: undefined })) }
  const vm = vmNamed(snapshot, 'web01')
  assert.equal(admit(snapshot, vm, 'blade99')[0]?.code, 'blade-unknown')
  assert.equal(admit(silent, vm, 'blade02')[0]?.code, 'blade-unknown')
})

test('why-not of the blade the VM is on says just that', () => {
  const snapshot = world({ name: '', expect: [] })
  const answer = whyNot(snapshot, 'id-web01', 'blade01')
  assert.equal(answer.possible, false)
  assert.deepEqual(
    answer.reasons.map(reason => reason.code),
    ['blade-is-source'],
  )
  assert.equal(whyNot(snapshot, 'id-web01', 'blade02').score?.blade, 'blade02')
  assert.throws(() => whyNot(snapshot, 'id-nobody', 'blade02'), { code: 'not-found' })
})

const MOVE = { vmId: 'id-web01', vm: 'web01', from: 'blade01', to: 'blade02', method: 'live' } as const

test('a planned move that still fits passes the re-check', () => {
  assert.deepEqual(recheckMove(world({ name: '', expect: [] }), MOVE), [])
})

test('a planned move is refused when the world has moved on since', () => {
  const code = (story: Partial<Story>, move = {}) =>
    recheckMove(world({ name: '', expect: [], ...story }), { ...MOVE, ...move }).map(reason => reason.code)
  assert.deepEqual(code({ there: FOUR }), ['vm-limit'])
  assert.deepEqual(code({ vm: { state: 'stopped' } }), ['vm-not-running'])
  assert.deepEqual(code({ vm: { blade: 'blade02' } }), ['facts-stale'])
  assert.deepEqual(code({}, { vmId: 'id-gone' }), ['facts-stale'])
})

test('a move away from a blade that does not report is refused: its VM may be anything', () => {
  const snapshot = world({ name: '', expect: [] })
  const blades = snapshot.blades.map(blade =>
    blade.name === 'blade01' ? { ...blade, liveness: 'silent' as const } : blade,
  )
  assert.deepEqual(
    recheckMove({ ...snapshot, blades }, MOVE).map(reason => reason.code),
    ['facts-stale'],
  )
})
