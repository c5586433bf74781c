import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BladeEvidence } from '../../../../controller/diagnosis/case.ts'
import { diagnose } from '../../../../controller/diagnosis/engine.ts'
import { NIGHT } from '../../../fakes/fleet-builder.ts'
import { bond, evidence, unreadable } from './evidence.ts'

const found = (one: BladeEvidence) =>
  diagnose([one], NIGHT).map(finding => `${finding.key} ${finding.severity}: ${finding.evidence}`)

test('one link down is moderate and named; that the switch bundles fewer follows from it', () => {
  const facts = [bond({ eth0: { partner: 'short' }, eth1: { link: 'down', speedMbps: 0 } })]
  assert.deepEqual(found(evidence(facts)), [
    'bond-member-down/blade01/bond0 moderate: eth1 of bond0 is down, 1 of 2 links left: eth0',
  ])
})

test('a NIC that vanished from the bond is a lost link too', () => {
  assert.deepEqual(found(evidence([bond({ eth0: {} })])), [
    'bond-member-down/blade01/bond0 moderate: eth1 of bond0 is down, 1 of 2 links left: eth0',
  ])
})

test('no link left is severe', () => {
  assert.deepEqual(found(evidence([bond({ eth0: { link: 'down' }, eth1: { link: 'down' } })])), [
    'bond-down/blade01/bond0 severe: bond0 has no link left of 2 links: eth0, eth1 down',
  ])
})

test('a switch that bundles one port only, and a link below its speed, are moderate', () => {
  assert.deepEqual(found(evidence([bond({ eth0: {}, eth1: { partner: 'short', speedMbps: 1_000 } })])), [
    'bond-partner-short/blade01/bond0 moderate: all links of bond0 are up, but the switch does not bundle eth1',
    'bond-slow/blade01/bond0 moderate: eth1 runs at 1000 Mbit/s in bond0, 10000 at enrolment',
  ])
})

test('a driver that does not tell its speed is not slow', () => {
  assert.deepEqual(found(evidence([bond({ eth0: { speedMbps: 0 }, eth1: { speedMbps: -1 } })])), [])
})

test('a bond that is gone is a finding, one that cannot be read is only unreadable', () => {
  const noBond = evidence().facts.filter(fact => fact.kind !== 'bond')
  assert.deepEqual(found(evidence([], { facts: noBond })), [
    'bond-missing/blade01/bond0 moderate: bond0 of eth0, eth1 is not there any more',
  ])
  assert.deepEqual(found(evidence([unreadable('bond', 'bond0')])), [
    'sensor-unreadable/blade01/bond0 moderate: bond bond0 of blade01 cannot be read: timed out',
  ])
})
