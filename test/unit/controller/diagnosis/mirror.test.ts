import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BladeEvidence } from '../../../../controller/diagnosis/case.ts'
import { diagnose } from '../../../../controller/diagnosis/engine.ts'
import { NIGHT } from '../../../fakes/fleet-builder.ts'
import { BASELINE, evidence, mirror, unreadable } from './evidence.ts'

const found = (one: BladeEvidence) =>
  diagnose([one], NIGHT).map(finding => `${finding.key} ${finding.severity}: ${finding.evidence}`)

test('a sound blade gives no finding', () => {
  assert.deepEqual(found(evidence()), [])
})

test('a lost disk is named from the baseline, though the kernel has forgotten it', () => {
  assert.deepEqual(found(evidence([mirror({ leg0: 'in-sync' })])), [
    'mirror-degraded/blade01/md0 moderate: lost leg1 of md0, 1 of 2 disks left: leg0',
  ])
})

test('without a baseline the kernel’s own word on the lost disk must do', () => {
  const facts = [mirror({ leg0: 'in-sync', leg1: 'faulty' })]
  assert.deepEqual(found(evidence(facts, { baseline: undefined })), [
    'mirror-degraded/blade01/md0 moderate: lost leg1 of md0, 1 of 2 disks left: leg0',
  ])
})

test('a mirror that was degraded when it was enrolled is degraded', () => {
  const baseline = { ...BASELINE, mirrors: [{ name: 'md0', devices: ['leg0'] }] }
  assert.deepEqual(found(evidence([mirror({ leg0: 'in-sync' })], { baseline })), [
    'mirror-degraded/blade01/md0 moderate: md0 lacks 1 disk, 1 of 2 disks left: leg0',
  ])
})

test('errors on the last disk make it severe, beside the case that is open already', () => {
  const facts = [mirror({ leg0: 'in-sync', leg1: 'faulty' }, { errors: { leg0: 3, leg1: 90 } })]
  assert.deepEqual(found(evidence(facts)), [
    'mirror-degraded/blade01/md0 moderate: lost leg1 of md0, 1 of 2 disks left: leg0',
    'mirror-survivor-failing/blade01/md0 severe: lost leg1 of md0, 1 of 2 disks left: leg0; leg0 has 3 errors',
  ])
})

test('errors on a disk of a whole mirror are no finding here: the other copy is good', () => {
  assert.deepEqual(
    found(evidence([mirror({ leg0: 'in-sync', leg1: 'in-sync' }, { errors: { leg0: 3 } })])),
    [],
  )
})

test('a new disk that is still rebuilding holds no second copy yet', () => {
  const facts = [
    mirror({ leg0: 'in-sync', leg2: 'rebuilding' }, { activity: 'recover', progressPercent: 34.2 }),
  ]
  assert.deepEqual(found(evidence(facts)), [
    'mirror-degraded/blade01/md0 moderate: lost leg1 of md0, 1 of 2 disks left: leg0; leg2 is rebuilding, 34 %',
  ])
})

test('once rebuilt, a disk of another name is as good as the old one', () => {
  assert.deepEqual(found(evidence([mirror({ leg0: 'in-sync', leg2: 'in-sync' })])), [])
})

test('a check that runs over a whole mirror is no finding', () => {
  const facts = [mirror({ leg0: 'in-sync', leg1: 'in-sync' }, { activity: 'check', progressPercent: 50 })]
  assert.deepEqual(found(evidence(facts)), [])
})

test('no disk in sync is severe', () => {
  assert.deepEqual(found(evidence([mirror({ leg0: 'faulty', leg1: 'faulty' })])), [
    'mirror-degraded/blade01/md0 moderate: lost leg0, leg1 of md0, 0 of 2 disks left',
    'mirror-survivor-failing/blade01/md0 severe: lost leg0, leg1 of md0, 0 of 2 disks left: no disk is in sync',
  ])
})

test('a mirror that came back under another name is missed, and the new name is told', () => {
  const facts = [mirror({ leg0: 'in-sync', leg1: 'in-sync' }, { name: 'md127' })]
  assert.deepEqual(found(evidence(facts)), [
    'mirror-missing/blade01/md0 moderate: md0 of leg0, leg1 is not there any more; there is md127',
  ])
})

test('what is not listed because a probe was late, or could not be read, is not missing', () => {
  const noMirror = evidence().facts.filter(fact => fact.kind !== 'mirror')
  assert.deepEqual(found(evidence([], { facts: noMirror, complete: false })), [])
  assert.deepEqual(found(evidence([unreadable('mirror')])), [
    'sensor-unreadable/blade01/all mirrors moderate: the list of mirrors of blade01 cannot be read: timed out',
  ])
})

test('an unreadable mirror is unreadable, not degraded', () => {
  assert.deepEqual(found(evidence([unreadable('mirror', 'md0')])), [
    'sensor-unreadable/blade01/md0 moderate: mirror md0 of blade01 cannot be read: timed out',
  ])
})
