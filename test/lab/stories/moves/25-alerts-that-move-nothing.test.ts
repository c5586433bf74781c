import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openLab } from '../../lab.ts'
import {
  alertGone,
  alertOf,
  assertAgrees,
  blade,
  blades,
  calm,
  openAlerts,
  operations,
} from '../support/fleet.ts'

const lab = openLab()
let before_: string[] = []

before(async () => {
  await calm(lab)
  before_ = (await operations(lab)).map(each => each.id)
})

after(async () => {
  assert.deepEqual(
    (await operations(lab)).map(each => each.id),
    before_,
    'something was moved or done',
  )
  await assertAgrees(lab)
})

// Both faults at once: each takes its time to be told and to be over, and they have nothing in common.
test('one link of a bond is lost: alert, quarantine, no move', async () => {
  await lab.fail('blade02', 'nic-b')
  await lab.fail('blade01', 'psu-2')
  const alert = await alertOf(lab, 'bond-member-down', 60_000)
  assert.equal(alert.blade, 'blade02')
  assert.equal(alert.subject, 'bond0')
  assert.match(alert.text, /eth1/)
  assert.match(alert.text, /[Nn]othing is moved/)
  const hurt = await blade(lab, 'blade02')
  assert.deepEqual([hurt.health, hurt.quarantined, hurt.liveness], ['moderate', true, 'up'])
  assert.match((await lab.cli(['why-not', 'mail01', 'blade02'])).stdout.toString(), /blade-not-healthy/)
  await lab.heal('blade02', 'nic-b')
})

test('one of four power supplies fails: one alert for the chassis, not one a blade', async () => {
  const alert = await alertOf(lab, 'power-degraded', 120_000)
  assert.equal(alert.blade, '')
  assert.match(alert.title, /chassis1/)
  assert.match(alert.text, /PS2/)
  assert.match(alert.text, /3 of 4/)
  // Every blade must have read it before "not one a blade" means anything.
  await lab.waitFor(
    'all blades to see the failed supply',
    async () => {
      for (const name of lab.blades) {
        const { facts } = await blade(lab, name)
        const power = facts.find(fact => fact.kind?.$case === 'power')
        assert.match(JSON.stringify(power), /"failed"/)
      }
      return true
    },
    120_000,
  )
  const about = (await openAlerts(lab)).filter(each => /power|supply/.test(`${each.code} ${each.title}`))
  assert.equal(about.length, 1, JSON.stringify(about.map(each => [each.code, each.title])))
  assert.deepEqual(alert.blades.toSorted(), [...lab.blades])
  await lab.heal('blade01', 'psu-2')
  await alertGone(lab, 'power-degraded')
  await alertGone(lab, 'bond-member-down')
})

test('the BMC cannot be read: the fact is unreadable, an alert says so, and nothing is taken for bad', async () => {
  await lab.fail('blade01', 'bmc')
  const alert = await alertOf(lab, 'sensor-unreadable', 240_000)
  assert.match(alert.title, /chassis1/)
  assert.match(alert.text, /unknown, not bad/)
  const { facts } = await blade(lab, alert.blades[0] ?? 'blade01')
  assert.ok(
    facts.some(fact => fact.kind?.$case === 'unreadable' && fact.kind.value.of === 'power'),
    JSON.stringify(facts),
  )
  const lost = (await openAlerts(lab)).filter(each => /^power-/.test(each.code))
  assert.deepEqual(lost, [])
  for (const each of await blades(lab)) assert.notEqual(each.health, 'severe')
  await lab.heal('blade01', 'bmc')
  await alertGone(lab, 'sensor-unreadable')
})
