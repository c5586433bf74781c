import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildSnapshot, type SnapshotSources } from '../../../../controller/fleet/build-snapshot.ts'
import { homeOf, sightingsByVm } from '../../../../controller/fleet/sightings.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { DEFAULT_RATES } from '../../../../controller/placement/times.ts'
import type { BladeRecord } from '../../../../controller/store/blades.ts'
import type { OperationRecord } from '../../../../controller/store/operations.ts'
import type { VmRecord } from '../../../../controller/store/vms.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { soundCapacity, soundFacts, vm } from '../../../fakes/agent-reports.ts'

const NOW = 1_000_000
const WEB = vm('web01', 1)

function blade(name: string, vms: Vm[], reportAt = NOW): BladeRecord {
  return {
    name,
    chassis: 'c1',
    slot: 1,
    feeds: [],
    switches: [],
    maxVms: 0,
    admin: 'in-service',
    adminReason: '',
    addedAt: 1,
    joinedAt: 1,
    peerAddress: '',
    agentVersion: '',
    refusal: '',
    baseline: undefined,
    report: {
      sequence: 1,
      observedAt: reportAt,
      facts: soundFacts(NOW),
      vms,
      capacity: soundCapacity(),
      complete: true,
    },
    reportAt,
  }
}

function record(change: Partial<VmRecord> = {}): VmRecord {
  return {
    id: WEB.id,
    name: 'web01',
    epoch: 0,
    generation: 0,
    placedOn: '',
    placedAt: 0,
    placedVm: undefined,
    firstSeenAt: 0,
    ...change,
  }
}

function moving(change: Partial<OperationRecord> = {}): OperationRecord {
  return {
    id: 'o1',
    kind: 'move',
    vmId: WEB.id,
    from: 'blade01',
    to: 'blade02',
    endedAt: 0,
    reservation: {
      operation: 'o1',
      vmId: WEB.id,
      vmName: 'web01',
      memoryBytes: GIB,
      volumes: [{ pool: 'vg0/pool', storage: 'thin', bytes: 10 * GIB }],
    },
    ...change,
  } as OperationRecord
}

function snapshot(change: Partial<SnapshotSources>) {
  return buildSnapshot({
    generation: 1,
    now: NOW,
    blades: [],
    vms: [],
    cases: [],
    operations: [],
    maxVmsPerBlade: 4,
    rules: NO_RULES,
    rates: DEFAULT_RATES,
    liveness: { suspectAfterMs: 15_000, silentAfterMs: 30_000 },
    ...change,
  })
}

test('a VM is where it runs, not where a copy of it arrives', () => {
  const { vms } = snapshot({
    blades: [
      blade('blade01', [WEB]),
      blade('blade02', [{ ...WEB, state: 'paused', incoming: true, epoch: 1 }]),
    ],
  })
  assert.deepEqual(
    vms.map(each => [each.name, each.blade, each.state]),
    [['web01', 'blade01', 'running']],
  )
})

test('of two definitions that are off, the one with the higher epoch is the VM', () => {
  const home = homeOf([
    { blade: 'blade01', vm: { ...WEB, state: 'stopped', epoch: 1 }, at: NOW },
    { blade: 'blade02', vm: { ...WEB, state: 'stopped', epoch: 2 }, at: NOW - 1 },
  ])
  assert.equal(home?.blade, 'blade02')
})

test('after a move and before the target has reported, the VM is at the target all the same', () => {
  const { vms } = snapshot({
    blades: [blade('blade01', [WEB], NOW - 100), blade('blade02', [], NOW - 100)],
    vms: [record({ epoch: 1, placedOn: 'blade02', placedAt: NOW - 50, placedVm: { ...WEB, epoch: 1 } })],
  })
  assert.deepEqual(
    vms.map(each => [each.blade, each.epoch]),
    [['blade02', 1]],
  )
})

test('reports on their way while a move ended do not bring the VM back to where it was', () => {
  const placed = record({ epoch: 1, placedOn: 'blade02', placedAt: NOW - 50, placedVm: { ...WEB, epoch: 1 } })
  const late = [
    { source: [WEB], target: [{ ...WEB, state: 'paused' as const, incoming: true, epoch: 1 }] },
    { source: [{ ...WEB, state: 'stopped' as const }], target: [] },
  ]
  for (const { source, target } of late) {
    const { vms } = snapshot({ blades: [blade('blade01', source), blade('blade02', target)], vms: [placed] })
    assert.deepEqual(
      vms.map(each => [each.blade, each.state]),
      [['blade02', 'running']],
    )
  }
})

test('a VM that was moved while off is at its target, though the source still has a definition of it', () => {
  const off = { ...WEB, state: 'stopped' as const, epoch: 1 }
  const placed = record({ epoch: 1, placedOn: 'blade02', placedAt: NOW - 50, placedVm: off })
  const blades = [blade('blade01', [off], NOW), blade('blade02', [off], NOW - 10)]
  const { vms } = snapshot({ blades, vms: [placed] })
  assert.deepEqual(
    vms.map(each => [each.blade, each.state]),
    [['blade02', 'stopped']],
  )
})

test('an old copy that still runs when the reports have settled is not hidden', () => {
  const placed = record({
    epoch: 1,
    placedOn: 'blade02',
    placedAt: NOW - 20_000,
    placedVm: { ...WEB, epoch: 1 },
  })
  const blades = [blade('blade01', [WEB]), blade('blade02', [{ ...WEB, epoch: 1 }])]
  const seen = sightingsByVm(blades, [placed]).get(WEB.id)
  assert.deepEqual(
    seen?.map(each => each.blade),
    ['blade02', 'blade01'],
  )
})

test('what an administrator does by hand later wins over what was placed', () => {
  const { vms } = snapshot({
    blades: [blade('blade01', [{ ...WEB, epoch: 1 }]), blade('blade02', [])],
    vms: [record({ epoch: 1, placedOn: 'blade02', placedAt: NOW - 50, placedVm: WEB })],
  })
  assert.deepEqual(
    vms.map(each => each.blade),
    ['blade01'],
  )
})

test('the VMs of a silent blade are lost, not gone', () => {
  const { vms, blades } = snapshot({ blades: [blade('blade01', [WEB], NOW - 60_000)] })
  assert.equal(blades[0]?.liveness, 'silent')
  assert.equal(vms[0]?.state, 'lost')
})

test('a VM under a move is moving, and the target keeps its room', () => {
  const taken = snapshot({ blades: [blade('blade01', [WEB]), blade('blade02', [])], operations: [moving()] })
  assert.deepEqual([taken.vms[0]?.state, taken.vms[0]?.operation], ['moving', 'o1'])
  assert.equal(taken.blades[1]?.reservations[0]?.volumes[0]?.bytes, 10 * GIB)
  assert.deepEqual(taken.blades[0]?.reservations, [])
})

test('of a thin volume that is being written, only the rest stays reserved; of a thick one, nothing', () => {
  const volumes = WEB.volumes.map(volume => ({
    ...volume,
    storage: 'thin' as const,
    allocatedBytes: 4 * GIB,
  }))
  const arriving: Vm = { ...WEB, state: 'paused', incoming: true, volumes }
  const blades = [blade('blade01', [WEB]), blade('blade02', [arriving])]
  const thin = snapshot({ blades, operations: [moving()] })
  assert.equal(thin.blades[1]?.reservations[0]?.volumes[0]?.bytes, 6 * GIB)
  const reservation = moving().reservation
  assert.ok(reservation)
  const thickVolumes = [{ pool: 'vg0', storage: 'thick', bytes: GIB }]
  const thick = snapshot({
    blades,
    operations: [moving({ reservation: { ...reservation, volumes: thickVolumes } })],
  })
  assert.deepEqual(thick.blades[1]?.reservations[0]?.volumes, [])
})

test('once the target counts the VM as its own, nothing is reserved beside it', () => {
  const { blades } = snapshot({
    blades: [blade('blade01', [{ ...WEB, state: 'stopped' }]), blade('blade02', [{ ...WEB, epoch: 1 }])],
    operations: [moving()],
  })
  assert.deepEqual(blades[1]?.reservations, [])
})

test('home is where the VM runs, also when its arrival was never confirmed; a paused arrival is not home', () => {
  const source = blade('blade01', [{ ...WEB, state: 'stopped' }])
  const arrived = (state: Vm['state']) => blade('blade02', [{ ...WEB, state, incoming: true }])
  const home = (target: BladeRecord) => homeOf(sightingsByVm([source, target], []).get(WEB.id) ?? [])?.blade
  assert.equal(home(arrived('running')), 'blade02')
  assert.equal(home(arrived('paused')), 'blade01')
})

test('the VM of a boot test is none of the fleet, but what it takes is taken', () => {
  const tried: Vm = { ...WEB, id: 'id-test', name: 'lifeboat-test-0123abcd' }
  const { blades, vms } = snapshot({ blades: [blade('blade01', [WEB, tried])] })
  assert.deepEqual(
    vms.map(each => each.name),
    ['web01'],
  )
  assert.deepEqual(
    blades[0]?.reservations.map(each => [each.vmName, each.memoryBytes]),
    [['lifeboat-test-0123abcd', tried.memoryBytes]],
  )
  const test = {
    kind: 'boot-test',
    to: 'blade01',
    reservation: { operation: 'o1', vmId: 'id-test', vmName: tried.name, memoryBytes: GIB, volumes: [] },
  } as const
  const busy = snapshot({ blades: [blade('blade01', [WEB, tried])], operations: [moving(test)] })
  assert.equal(busy.blades[0]?.reservations.length, 1, 'not counted twice')
  assert.deepEqual(
    busy.vms.map(each => [each.name, each.state, each.operation]),
    [['web01', 'running', '']],
    'the VM it is a copy of is not busy by it',
  )
})
