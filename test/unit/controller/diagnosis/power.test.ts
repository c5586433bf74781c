import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from '../../../../controller/diagnosis/engine.ts'
import type { Fact } from '../../../../shared/domain/health.ts'
import { NIGHT } from '../../../fakes/fleet-builder.ts'
import { evidence, power, unreadable } from './evidence.ts'

const MINUTE = 60_000
const chassis = (...facts: readonly Fact[]) =>
  facts.map((fact, index) => evidence([fact], { blade: `blade0${index + 1}` }))
const found = (...facts: readonly Fact[]) =>
  diagnose(chassis(...facts), NIGHT).map(finding => `${finding.key} ${finding.severity}: ${finding.evidence}`)

test('one failed of four is one finding for the chassis, though three blades see it', () => {
  const facts = [power({ PS2: 'failed' }), power({ PS2: 'failed' }), power({ PS2: 'failed' })]
  const findings = diagnose(chassis(...facts), NIGHT)
  assert.equal(findings.length, 1)
  assert.deepEqual(findings[0], {
    key: 'power-degraded/chassis1',
    code: 'power-degraded',
    severity: 'moderate',
    scope: 'chassis',
    scopeName: 'chassis1',
    blades: ['blade01', 'blade02', 'blade03'],
    subject: 'PS2',
    evidence: 'PS2 failed; 3 of 4 power supplies work, 2 needed',
    observedAt: NIGHT,
  })
})

test('when blades disagree, the newest reading is right', () => {
  assert.deepEqual(found(power({ PS2: 'failed' }, NIGHT - 20_000), power({}, NIGHT)), [])
  assert.deepEqual(found(power({}, NIGHT - 20_000), power({ PS2: 'ac-lost' }, NIGHT)), [
    'power-degraded/chassis1 moderate: PS2 has lost its mains; 3 of 4 power supplies work, 2 needed',
  ])
})

test('what a silent blade read long ago does not count', () => {
  const withoutSupply: Fact = { ...power(), supplies: power().supplies.slice(0, 3) }
  assert.deepEqual(found(power({}, NIGHT - 60 * MINUTE), withoutSupply), [
    'power-degraded/chassis1 moderate: PS4 is not there; 3 of 4 power supplies work, 2 needed',
  ])
})

test('a blade whose clock runs ahead does not make the others look old', () => {
  assert.deepEqual(found(power({}, NIGHT), unreadable('power', '', NIGHT + 60 * MINUTE)), [])
})

test('fewer than needed is severe, and the milder case goes on', () => {
  const facts = power({ PS1: 'failed', PS2: 'ac-lost', PS3: 'absent' })
  const text = 'PS1 failed, PS2 has lost its mains, PS3 is not there; 1 of 4 power supplies work, 2 needed'
  assert.deepEqual(found(facts), [
    `power-degraded/chassis1 moderate: ${text}`,
    `power-insufficient/chassis1 severe: ${text}`,
  ])
})

test('how many are needed can be set', () => {
  const findings = diagnose(chassis(power({ PS2: 'failed' })), NIGHT, { neededSupplies: 4 })
  assert.deepEqual(
    findings.map(finding => finding.code),
    ['power-degraded', 'power-insufficient'],
  )
})

test('a supply that foretells its failure still counts as working', () => {
  assert.deepEqual(found(power({ PS3: 'predictive-failure' })), [
    'power-predictive-failure/chassis1 moderate: PS3 foretells its failure; all it feeds still runs',
  ])
})

test('one blade that can read is enough; when none can, it is unreadable once for the chassis and nothing else', () => {
  assert.deepEqual(found(unreadable('power'), power()), [])
  assert.deepEqual(found(unreadable('power'), unreadable('power')), [
    'sensor-unreadable/chassis1/power supplies moderate: the power supplies of chassis1 cannot be read by any of its blades: timed out',
  ])
})

test('a chassis where nobody ever watched the power is no fault; one that stopped telling is', () => {
  const noPower = evidence().facts.filter(fact => fact.kind !== 'power')
  const never = evidence([], { facts: noPower, baseline: undefined })
  assert.deepEqual(diagnose([never], NIGHT), [])
  const stopped = evidence([], { facts: noPower })
  assert.deepEqual(
    diagnose([stopped], NIGHT).map(finding => finding.key),
    ['sensor-unreadable/chassis1/power supplies'],
  )
})

test('each chassis has its own case, and a server without a chassis has its own supplies', () => {
  const findings = diagnose(
    [
      evidence([power({ PS1: 'failed' })], { blade: 'blade01' }),
      evidence([power({ PS4: 'failed' })], { blade: 'blade11', chassis: 'chassis2' }),
      evidence([power({ PS2: 'failed' })], { blade: 'rack01', chassis: '' }),
    ],
    NIGHT,
  )
  assert.deepEqual(
    findings.map(({ key, scope, subject }) => [key, scope, subject]),
    [
      ['power-degraded/chassis1', 'chassis', 'PS1'],
      ['power-degraded/chassis2', 'chassis', 'PS4'],
      ['power-degraded/rack01', 'blade', 'PS2'],
    ],
  )
})
