import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planEvacuation, planMove } from '../../../../controller/placement/make-plan.ts'
import type { Plan } from '../../../../controller/placement/plan.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { type FleetSketch, fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

const HEAD = { id: 'p1', cause: 'a disk is lost', now: NIGHT }
const evacuate = (sketch: FleetSketch, bladeName = 'blade01') =>
  planEvacuation(fleet(sketch), { ...HEAD, bladeName })
const moves = (plan: Plan) => plan.moves.map(move => `${move.vm} ${move.method} ${move.to}`)
const codes = (plan: Plan) =>
  plan.unplaced.map(({ vm, reasons }) => [vm, ...reasons.map(reason => reason.code)])
const blades = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `blade${String(index + 1).padStart(2, '0')}` }))
const on = (blade: string, ...names: readonly string[]) => names.map(name => ({ name, blade }))

test('four VMs of a failing blade are spread over two empty ones', () => {
  const plan = evacuate({ blades: blades(3), vms: on('blade01', 'a', 'b', 'c', 'd') })
  assert.deepEqual(moves(plan), ['a live blade02', 'b live blade03', 'c live blade02', 'd live blade03'])
  assert.deepEqual(plan.unplaced, [])
  assert.deepEqual(
    plan.after.map(load => load.vms),
    [0, 2, 2],
  )
})

test('the largest goes first, so that the one place it fits is not filled up by small ones', () => {
  const plan = evacuate({
    blades: [{ name: 'blade01' }, { name: 'blade02', memoryGib: 34 }, { name: 'blade03', memoryGib: 8 }],
    vms: [
      { name: 'a-small', blade: 'blade01', memoryGib: 4 },
      { name: 'z-large', blade: 'blade01', memoryGib: 32 },
    ],
  })
  assert.deepEqual(moves(plan), ['z-large live blade02', 'a-small live blade03'])
})

test('running VMs leave first, those that are off follow cold and without downtime', () => {
  const plan = evacuate({
    blades: blades(2),
    vms: [
      { name: 'off', blade: 'blade01', memoryGib: 8, state: 'stopped' },
      { name: 'on', blade: 'blade01', memoryGib: 2 },
    ],
  })
  assert.deepEqual(
    plan.moves.map(move => [move.vm, move.method, move.expectedDowntimeMs]),
    [
      ['on', 'live', 300],
      ['off', 'cold', 0],
    ],
  )
})

test('what cannot move is told with the reason, and the others move all the same', () => {
  const plan = evacuate({
    blades: blades(2),
    vms: [
      { name: 'cd', blade: 'blade01', obstacles: [{ code: 'host-cdrom', text: 'cd' }] },
      { name: 'fine', blade: 'blade01' },
      { name: 'huge', blade: 'blade01', memoryGib: 61 },
      { name: 'frozen', blade: 'blade01', state: 'paused' },
    ],
  })
  assert.deepEqual(moves(plan), ['fine live blade02'])
  assert.deepEqual(codes(plan), [
    ['huge', 'no-blade-left', 'memory-short'],
    ['cd', 'host-cdrom'],
    ['frozen', 'vm-not-running'],
  ])
})

test('nothing is planned on what a silent blade said last', () => {
  const plan = evacuate({
    blades: [{ name: 'blade01', liveness: 'silent' }, { name: 'blade02' }],
    vms: on('blade01', 'a'),
  })
  assert.deepEqual([moves(plan), codes(plan)], [[], [['a', 'facts-stale']]])
})

test('an unknown blade cannot be evacuated, an empty one is an empty plan', () => {
  assert.throws(() => evacuate({ blades: blades(1), vms: [] }, 'blade99'), { code: 'not-found' })
  const plan = evacuate({ blades: blades(2), vms: [] })
  assert.deepEqual([plan.moves, plan.unplaced, plan.expectedEndMs], [[], [], 0])
})

test('a blade with a lost supply is taken only when the other one is clearly fuller', () => {
  const facts = [{ kind: 'power', observedAt: 1, supplies: [{ name: 'PS2', state: 'failed' }] }] as const
  const sketch = (there: number): FleetSketch => ({
    blades: [{ name: 'blade01' }, { name: 'blade02', facts }, { name: 'blade03', chassis: 'chassis2' }],
    vms: [...on('blade01', 'a'), ...on('blade03', 'x', 'y', 'z').slice(0, there)],
  })
  assert.deepEqual(moves(evacuate(sketch(0))), ['a live blade03'])
  assert.deepEqual(moves(evacuate(sketch(3))), ['a live blade02'])
})

test('a move by hand goes to the blade that was named, or says why not', () => {
  const snapshot = fleet({
    blades: [...blades(3), { name: 'blade04', admin: 'cordoned' }],
    vms: on('blade01', 'a'),
  })
  const plan = (to?: string, override?: boolean) =>
    planMove(snapshot, { ...HEAD, vmId: 'id-a', to, override })
  assert.deepEqual(moves(plan()), ['a live blade02'])
  assert.deepEqual(moves(plan('blade03')), ['a live blade03'])
  assert.deepEqual(codes(plan('blade04')), [['a', 'no-blade-left', 'blade-not-in-service']])
  assert.deepEqual(moves(plan('blade04', true)), ['a live blade04'])
  assert.deepEqual(codes(plan('blade01')), [['a', 'no-blade-left', 'blade-is-source']])
  assert.deepEqual(codes(plan('blade99')), [['a', 'blade-unknown']])
  assert.throws(() => planMove(snapshot, { ...HEAD, vmId: 'id-nobody' }), { code: 'not-found' })
})

test('override without a named blade overrides nothing', () => {
  const snapshot = fleet({
    blades: [{ name: 'blade01' }, { name: 'blade02', admin: 'cordoned' }],
    vms: on('blade01', 'a'),
  })
  assert.deepEqual(codes(planMove(snapshot, { ...HEAD, vmId: 'id-a', override: true })), [
    ['a', 'no-blade-left', 'blade-not-in-service'],
  ])
})

test('an emptied blade is not counted on in the fleet after the plan', () => {
  const plan = evacuate({ blades: blades(2), vms: on('blade01', 'a') })
  assert.deepEqual(plan.nPlusOne.notSurvivable, [{ blade: 'blade02', vms: ['a'] }])
})

test('room promised to the VM itself is not taken twice when it arrives', () => {
  const volumes = [{ pool: 'vg0', storage: 'thick', bytes: 300 * GIB }]
  const promise = { operation: 'o1', vmId: 'id-a', vmName: 'a', memoryBytes: 4 * GIB, volumes }
  const plan = evacuate({
    blades: [{ name: 'blade01' }, { name: 'blade02', reservations: [promise] }],
    vms: [{ name: 'a', blade: 'blade01', disks: [{ pool: 'vg0', storage: 'thick', gib: 300 }] }],
  })
  const load = plan.after[1]
  assert.deepEqual([load?.vms, load?.memoryUsedBytes, load?.pools[0]?.freeBytes], [1, 4 * GIB, 200 * GIB])
})

test('what stands in the way only when others have moved is told of then, what does now of now', () => {
  const plan = evacuate({
    blades: [{ name: 'blade01' }, { name: 'blade02', maxVms: 1 }, { name: 'blade03', admin: 'cordoned' }],
    vms: [
      { name: 'big01', blade: 'blade01', memoryGib: 8 },
      { name: 'web01', blade: 'blade01', memoryGib: 4 },
    ],
  })
  assert.deepEqual(
    plan.unplaced[0]?.reasons.map(reason => reason.text),
    [
      'web01 fits on none of 2 blades once the others have their places',
      'by then, blade02 has 1 of at most 1 VMs',
      'blade03 is cordoned',
    ],
  )
})
