import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorise } from '../../../../controller/api/authorise.ts'
import type { Peer } from '../../../../shared/rpc/endpoint.ts'

function mayCall(role: Peer['role'], service: string, rpc = 'X'): boolean {
  try {
    authorise({
      method: `/lifeboat.v1.${service}/${rpc}`,
      peer: { role, name: 'n', address: 'a', fingerprint: '' },
    })
    return true
  } catch {
    return false
  }
}

test('each role opens its own doors and no other', () => {
  const table = (['none', 'blade', 'vault', 'controller', 'admin', 'local'] as const).map(role => [
    role,
    ...['Enrolment', 'Intake', 'Admin', 'Other'].map(service => (mayCall(role, service) ? 'yes' : 'no')),
  ])
  assert.deepEqual(table, [
    ['none', 'yes', 'no', 'no', 'no'],
    ['blade', 'yes', 'yes', 'no', 'no'],
    ['vault', 'yes', 'no', 'no', 'no'],
    ['controller', 'yes', 'no', 'no', 'no'],
    ['admin', 'yes', 'no', 'yes', 'no'],
    ['local', 'yes', 'no', 'yes', 'no'],
  ])
})

test('a vault renews its certificate, and does nothing else with the controller', () => {
  assert.equal(mayCall('vault', 'Intake', 'RenewCertificate'), true)
  assert.equal(mayCall('vault', 'Intake', 'Session'), false)
})
