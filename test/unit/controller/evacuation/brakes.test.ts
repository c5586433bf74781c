import assert from 'node:assert/strict'
import { test } from 'node:test'
import { badBladesAllowed, commonCause } from '../../../../controller/evacuation/brakes.ts'
import { fleet, openCase } from '../../../fakes/fleet-builder.ts'

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => `blade${String(index + 1).padStart(2, '0')}`)
const blades = (count: number) =>
  fleet({
    blades: names(count).map((name, index) => ({ name, feeds: [index < count / 2 ? 'feed-a' : 'feed-b'] })),
    vms: [],
  }).blades
const down = (blade: string) => openCase(blade, { code: 'bond-member-down', subject: 'bond0' })

test('a quarter of the blades may be bad, one always', () => {
  assert.deepEqual([1, 3, 4, 7, 8, 10, 12].map(badBladesAllowed), [1, 1, 1, 1, 2, 2, 3])
})

test('two of three blades are a common cause, one is not', () => {
  assert.equal(commonCause([down('blade01')], blades(3)), undefined)
  assert.deepEqual(commonCause([down('blade01'), down('blade02')], blades(3))?.blades, ['blade01', 'blade02'])
})

test('one blade with many cases is one bad blade', () => {
  assert.equal(
    commonCause([down('blade01'), openCase('blade01'), openCase('blade01', { subject: 'md1' })], blades(3)),
    undefined,
  )
})

test('it names what the bad blades share and the good ones do not', () => {
  const finding = commonCause(names(5).map(down), blades(10))
  assert.equal(finding?.subject, 'feed feed-a')
  assert.equal(finding?.key, 'common-cause/fleet')
  assert.match(
    finding?.evidence ?? '',
    /5 of 10 blades look bad at once \(bond-member-down\): .*; what they share is feed feed-a$/,
  )
})

test('what all blades share explains nothing', () => {
  const finding = commonCause(['blade01', 'blade04', 'blade09'].map(down), blades(10))
  assert.equal(finding?.subject, '')
  assert.match(finding?.evidence ?? '', /suspect an update, or what watches them/)
})

test('it is as bad as the worst of its cases', () => {
  const cases = [down('blade01'), openCase('blade02', { code: 'blade-silent', severity: 'severe' })]
  assert.equal(commonCause(cases, blades(3))?.severity, 'severe')
})

test('unreadable sensors, chassis cases, closed cases and blades in maintenance do not make it', () => {
  const harmless = [
    openCase('blade01', { code: 'sensor-unreadable' }),
    openCase('blade02', { code: 'sensor-unreadable' }),
    openCase('chassis1', {
      code: 'power-insufficient',
      severity: 'severe',
      scope: 'chassis',
      blades: names(3),
    }),
    openCase('blade03', { closedAt: 1 }),
    down('blade03'),
  ]
  assert.equal(commonCause(harmless, blades(3)), undefined)
  const inMaintenance = blades(3).map(blade =>
    blade.name === 'blade02' ? { ...blade, admin: 'maintenance' as const } : blade,
  )
  assert.equal(commonCause([down('blade01'), down('blade02')], inMaintenance), undefined)
})
