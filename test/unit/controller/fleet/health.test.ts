import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Case } from '../../../../controller/diagnosis/case.ts'
import { bladeHealth, isQuarantined } from '../../../../controller/fleet/health.ts'
import type { Fact } from '../../../../shared/domain/health.ts'
import { openCase } from '../../../fakes/fleet-builder.ts'

const FACTS: readonly Fact[] = [{ kind: 'power', observedAt: 1, supplies: [] }]
const BLADES = ['blade01', 'blade02']
const of = (name: string, ...cases: readonly Case[]) => bladeHealth({ name }, cases, FACTS, 'up')
const chassisCase = (code: Case['code'], severity: Case['severity']) =>
  openCase('chassis1', {
    code,
    severity,
    scope: 'chassis',
    blades: BLADES,
    subject: 'PS2',
    evidence: 'PS2 failed',
  })

test('a blade with a degraded mirror is moderate and quarantined, its neighbour is not', () => {
  const mirror = openCase('blade01')
  assert.deepEqual(of('blade01', mirror), { health: 'moderate', reasons: [mirror.evidence] })
  assert.deepEqual(of('blade02', mirror), { health: 'healthy', reasons: [] })
  assert.deepEqual((['moderate', 'healthy'] as const).map(isQuarantined), [true, false])
})

test('the worst case decides, all are told', () => {
  const found = of(
    'blade01',
    openCase('blade01', { code: 'mirror-survivor-failing', severity: 'severe', evidence: 'two' }),
    openCase('blade01', { code: 'bond-member-down', subject: 'bond0', evidence: 'one' }),
  )
  assert.equal(found.health, 'severe')
  assert.deepEqual(found.reasons, ['two', 'one'])
})

test('one failed supply of the chassis closes no blade, too little power closes all', () => {
  assert.equal(of('blade01', chassisCase('power-degraded', 'moderate')).health, 'healthy')
  for (const name of BLADES)
    assert.equal(of(name, chassisCase('power-insufficient', 'severe')).health, 'severe')
  assert.equal(of('blade09', chassisCase('power-insufficient', 'severe')).health, 'healthy')
})

test('a mirror that cannot be read makes its blade unknown: not healthy, yet not quarantined as broken', () => {
  const found = of('blade01', openCase('blade01', { code: 'sensor-unreadable', evidence: 'mirror md0 …' }))
  assert.deepEqual([found.health, isQuarantined(found.health)], ['unknown', false])
})

test('supplies that no blade of the chassis can read leave the blades open for VMs', () => {
  assert.equal(of('blade01', chassisCase('sensor-unreadable', 'moderate')).health, 'healthy')
})

test('what is known to be broken outweighs what cannot be read', () => {
  const found = of(
    'blade01',
    openCase('blade01', { code: 'sensor-unreadable', subject: 'bond0' }),
    openCase('blade01', { code: 'mirror-degraded' }),
  )
  assert.equal(found.health, 'moderate')
})

test('silence and trouble with VMs are no matter of health, and closed cases are over', () => {
  const found = of(
    'blade01',
    openCase('blade01', { code: 'blade-silent', severity: 'severe' }),
    openCase('blade01', { code: 'operation-needs-admin', severity: 'severe' }),
    openCase('blade01', { closedAt: 5 }),
  )
  assert.equal(found.health, 'healthy')
})

test('a blade that never reported is unknown; one that reports no such hardware may be sound', () => {
  assert.equal(bladeHealth({ name: 'blade01' }, [], undefined, 'silent').health, 'unknown')
  assert.equal(bladeHealth({ name: 'blade01' }, [], [], 'silent').health, 'unknown')
  assert.equal(bladeHealth({ name: 'blade01' }, [], [], 'up').health, 'healthy')
})
