import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FleetFindingSources, fleetFindings } from '../../../../controller/fleet/fleet-findings.ts'
import type { OperationRecord } from '../../../../controller/store/operations.ts'
import { fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

function codes(change: Partial<FleetFindingSources>): string[] {
  return fleetFindings({
    now: NIGHT,
    snapshot: fleet({ blades: [{ name: 'blade01' }, { name: 'blade02' }], vms: [] }),
    blades: [],
    vms: [],
    nPlusOne: { kept: true, text: '', notSurvivable: [] },
    unsettled: [],
    listeningSince: NIGHT - 3_600_000,
    silentAfterMs: 30_000,
    ...change,
  }).map(each => each.key)
}

const SILENT = fleet({
  blades: [
    { name: 'blade01', liveness: 'silent' },
    { name: 'blade02', liveness: 'silent', admin: 'maintenance' },
  ],
  vms: [],
})

test('a silent blade is a case; one in maintenance is not', () => {
  assert.deepEqual(codes({ snapshot: SILENT }), ['blade-silent/blade01'])
})

test('a controller that has just begun to listen blames nobody for not having been heard', () => {
  assert.deepEqual(codes({ snapshot: SILENT, listeningSince: NIGHT - 10_000 }), [])
})

test('two VMs of one name are told, with the blades they are on', () => {
  const vms = [
    { name: 'web01', id: 'a', blade: 'blade01' },
    { name: 'web01', id: 'b', blade: 'blade02' },
  ]
  const snapshot = fleet({ blades: [{ name: 'blade01' }, { name: 'blade02' }], vms })
  assert.deepEqual(codes({ snapshot }), ['vm-name-ambiguous/fleet/web01'])
})

test('N+1 is judged only when every blade had its chance to report', () => {
  const nPlusOne = { kept: false, text: 'could not', notSurvivable: [{ blade: 'blade01', vms: ['web01'] }] }
  assert.deepEqual(codes({ nPlusOne }), ['n-plus-one-lost/fleet'])
  assert.deepEqual(codes({ nPlusOne, snapshot: SILENT, listeningSince: NIGHT - 10_000 }), [])
})

test('an operation that needs an admin stays a case of its own until it is settled', () => {
  const operation = {
    id: 'o7',
    kind: 'move',
    from: 'blade01',
    outcome: 'half way',
    endedAt: NIGHT,
  } as OperationRecord
  const evacuation = { ...operation, id: 'o8', kind: 'evacuate' } as OperationRecord
  assert.deepEqual(codes({ unsettled: [operation, evacuation] }), [
    'operation-needs-admin/blade01/o7',
    'evacuation-incomplete/blade01/o8',
  ])
})
