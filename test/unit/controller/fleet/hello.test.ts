import assert from 'node:assert/strict'
import { test } from 'node:test'
import { versionMismatch } from '../../../../controller/fleet/intake-service.ts'
import { reachable } from '../../../../controller/fleet/peer-address.ts'

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
