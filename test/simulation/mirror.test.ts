import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GIB, HOUR_MS, MIB } from '../../shared/domain/units.ts'
import { createScenario } from './scenario.ts'

// Stories mostly wait, each for a fleet of its own.
describe('a mirror half fails', { concurrency: 3 }, () => {
  it('a mirror half fails: alert, plan, live moves, quarantine; the healed blade takes VMs again', async t => {
    const scenario = await createScenario(t, {
      blades: 3,
      vms: { db01: 'blade01', mail01: 'blade01', web01: 'blade01', web02: 'blade02' },
      shape: {
        db01: {
          memoryBytes: 4 * GIB,
          volumes: [
            { kind: 'thick', sizeBytes: 4 * MIB },
            { kind: 'thin', sizeBytes: 8 * MIB },
          ],
        },
        mail01: { memoryBytes: 2 * GIB, volumes: [{ kind: 'file', sizeBytes: 4 * MIB }] },
      },
    })
    const { fleet, story } = scenario

    story.chapter('sdb2 of blade01 fails')
    fleet.blade('blade01').fail('mirror')
    const alert = await scenario.alert('mirror-degraded')
    for (const word of ['blade01', 'md0', 'sdb2'])
      assert.ok(alert.text.includes(word), `${word} in: ${alert.text}`)
    assert.notEqual(alert.nextCommand, '')
    const evacuation = await scenario.ended('evacuate')
    assert.equal(evacuation.state, 'done')

    const plan = await fleet.admin.ask('getPlan', { id: evacuation.plan })
    const places = Object.fromEntries(plan.moves.map(move => [move.vm, move.to]))
    await scenario.allRunOn({ ...places, web02: 'blade02' })
    for (const id of evacuation.children) {
      const move = await scenario.operation(id)
      assert.equal(move.state, 'done')
      assert.ok(move.downtimeMs > 0 && move.downtimeMs < 5000, `downtime of ${move.vm}: ${move.downtimeMs}`)
      assert.ok(move.commands.length > 0, 'the commands are kept with the operation')
      assert.ok(move.steps.every(step => step.state === 'done'))
    }
    const kept = await fleet.blade('blade01').volumes.kept()
    assert.equal(kept.length, 4, 'the volumes stay at the source for the grace time (rule 3)')
    const blade = await fleet.admin.ask('getBlade', { name: 'blade01' })
    assert.equal(blade.health, 'moderate')
    assert.equal(blade.quarantined, true)
    const whyNot = await fleet.admin.ask('whyNot', { vm: 'web02', blade: 'blade01' })
    assert.equal(whyNot.possible, false)
    assert.ok(whyNot.reasons.some(reason => reason.code === 'blade-not-healthy'))

    story.chapter('the disk is replaced and in sync again')
    fleet.blade('blade01').heal('mirror')
    await scenario.until('the alert is cleared', async () => (await scenario.openAlerts()).length === 0)
    await fleet.settled()
    const again = await fleet.admin.ask('whyNot', { vm: 'web02', blade: 'blade01' })
    assert.equal(again.possible, true)

    story.expectGolden('mirror')
  })

  it('automation is paused: the failure is an alert, and status says why nothing moves', async t => {
    const scenario = await createScenario(t, { blades: 3, vms: { web01: 'blade01', web02: 'blade02' } })
    const { fleet, story } = scenario

    story.chapter('automation is paused, then sdb2 of blade01 fails')
    await fleet.admin.ask('setAutomation', { paused: true, reason: 'we move the rack' })
    fleet.blade('blade01').fail('mirror')
    await scenario.alert('mirror-degraded')
    const status = await scenario.until('status says what is held back', async () => {
      const found = await fleet.admin.ask('getStatus', {})
      return found.heldBack.length > 0 && found
    })
    assert.ok(
      status.heldBack.some(text => text.includes('blade01') && text.includes('paused')),
      status.heldBack.join(),
    )
    assert.deepEqual(status.operations, [])
    await scenario.allRunOn({ web01: 'blade01', web02: 'blade02' })

    story.chapter('automation is resumed')
    await fleet.admin.ask('setAutomation', { paused: false, reason: '' })
    assert.equal((await scenario.ended('evacuate')).state, 'done')
    const { blade } = await fleet.admin.ask('getVm', { name: 'web01' })
    assert.notEqual(blade, 'blade01')
    await scenario.allRunOn({ web01: blade, web02: 'blade02' })

    story.expectGolden('automation-paused')
  })

  it('the surviving half shows errors: the blade is emptied at once, whatever the hold', async t => {
    const scenario = await createScenario(t, {
      blades: 3,
      vms: { web01: 'blade01', web02: 'blade02' },
      evacuation: { holdMs: 24 * HOUR_MS },
    })
    const { fleet, story } = scenario

    story.chapter('sdb2 of blade01 fails, and sda2 has read errors')
    fleet.blade('blade01').fail('disk-errors')
    assert.equal((await scenario.ended('evacuate')).state, 'done')
    const { blade } = await fleet.admin.ask('getVm', { name: 'web01' })
    await scenario.allRunOn({ web01: blade, web02: 'blade02' })
    const alert = await scenario.alert('mirror-survivor-failing')
    assert.equal(alert.severity, 'severe')
    story.expectGolden('survivor-failing')
  })

  it('half of the fleet looks bad at once: one alert names the common cause, and nobody moves (rule 10)', async t => {
    const places = { web01: 'blade01', web02: 'blade02', web03: 'blade03', web04: 'blade04' }
    const scenario = await createScenario(t, { blades: 4, vms: places })
    const { fleet } = scenario

    fleet.blade('blade01').fail('mirror')
    fleet.blade('blade02').fail('mirror')
    await scenario.alert('common-cause')
    const { operations } = await fleet.admin.ask('listOperations', { all: true, blade: '', vm: '' })
    assert.deepEqual(operations, [])
    const status = await fleet.admin.ask('getStatus', {})
    assert.ok(status.heldBack.length > 0, 'status says what is held back')
    await scenario.allRunOn(places)
  })
})
