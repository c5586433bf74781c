import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorise } from '../../../../controller/api/authorise.ts'
import { reachable, versionMismatch } from '../../../../controller/fleet/intake-service.ts'
import type { Peer } from '../../../../shared/rpc/endpoint.ts'

function mayCall(role: Peer['role'], service: string): boolean {
  try {
    authorise({
      method: `/lifeboat.v1.${service}/X`,
      peer: { role, name: 'n', address: 'a', fingerprint: '' },
    })
    return true
  } catch {
    return false
  }
}

test('each role opens its own doors and no other', () => {
  const table = (['none', 'blade', 'controller', 'admin', 'local'] as const).map(role => [
    role,
    ...['Enrolment', 'Intake', 'Admin', 'Other'].map(service => (mayCall(role, service) ? 'yes' : 'no')),
  ])
  assert.deepEqual(table, [
    ['none', 'yes', 'no', 'no', 'no'],
    ['blade', 'yes', 'yes', 'no', 'no'],
    ['controller', 'yes', 'no', 'no', 'no'],
    ['admin', 'yes', 'no', 'yes', 'no'],
    ['local', 'yes', 'no', 'yes', 'no'],
  ])
})

test('a version mismatch says which side to upgrade, and none is none', () => {
  assert.equal(versionMismatch({ protocol: 1, agentVersion: '0.1.0' }, 'blade01'), undefined)
  assert.match(
    versionMismatch({ protocol: 0, agentVersion: '0.0.1' }, 'blade01') ?? '',
    /upgrade Lifeboat on blade01$/,
  )
  assert.match(
    versionMismatch({ protocol: 2, agentVersion: '2.0.0' }, 'b') ?? '',
    /upgrade Lifeboat on the controller$/,
  )
})

test('an agent that listens everywhere is reached where it calls from', () => {
  const seen = [
    ['10.0.0.7:7500', '10.0.0.3:41234'],
    ['0.0.0.0:7500', '10.0.0.3:41234'],
    ['', '10.0.0.3:41234'],
    ['[::]:7422', '[fd00::3]:41234'],
    [':7422', '::ffff:10.0.0.3'],
  ] as const
  assert.deepEqual(
    seen.map(([told, from]) => reachable(told, from)),
    ['10.0.0.7:7500', '10.0.0.3:7500', '10.0.0.3:7422', '[fd00::3]:7422', '10.0.0.3:7422'],
  )
})
