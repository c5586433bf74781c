import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorise } from '../../../../controller/api/authorise.ts'
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
