import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSimRunner } from '../../agent/sim/runner.ts'
import { GIB, MIB } from '../../shared/domain/units.ts'
import { vmIdOf } from './roster.ts'
import { createScenario, type Scenario } from './scenario.ts'

const PLACES = { web01: 'blade01', web02: 'blade02' }

/** Nothing was planned, nothing moves, and every VM is where it was. */
async function nothingMoves(scenario: Scenario): Promise<void> {
  const { operations } = await scenario.fleet.admin.ask('listOperations', { all: true, blade: '', vm: '' })
  assert.deepEqual(operations, [])
  await scenario.allRunOn(PLACES)
}

async function allClear(scenario: Scenario): Promise<void> {
  await scenario.until('every alert is cleared', async () => (await scenario.openAlerts()).length === 0)
  await scenario.fleet.settled()
}

// Stories mostly wait, each for a fleet of its own.
describe('faults that move nothing', { concurrency: 3 }, () => {
  it('one bond member down is an alert and a quarantine, and nothing moves', async t => {
    const scenario = await createScenario(t, { blades: 3, vms: PLACES })
    const { fleet, story } = scenario

    story.chapter('eth0 of blade02 loses its carrier')
    fleet.blade('blade02').fail('nic-a')
    const alert = await scenario.alert('bond-member-down')
    for (const word of ['blade02', 'bond0', 'eth0'])
      assert.ok(alert.text.includes(word), `${word} in: ${alert.text}`)
    const blade = await fleet.admin.ask('getBlade', { name: 'blade02' })
    assert.equal(blade.quarantined, true)
    const { possible } = await fleet.admin.ask('whyNot', { vm: 'web01', blade: 'blade02' })
    assert.equal(possible, false, 'nothing new is placed on it')
    await nothingMoves(scenario)

    story.chapter('the cable is back')
    fleet.blade('blade02').heal('nic-a')
    await allClear(scenario)
    await nothingMoves(scenario)
    story.expectGolden('bond-member-down')
  })

  it('a failed power supply is one alert for the chassis; an unreadable one is unknown, and neither moves a VM', async t => {
    const scenario = await createScenario(t, { blades: 2, vms: PLACES })
    const { fleet, story } = scenario

    story.chapter('PS2 of the chassis fails: both blades see it')
    fleet.blade('blade01').fail('psu-2')
    const failed = await scenario.alert('power-degraded')
    assert.ok(failed.text.includes('PS2') && failed.text.includes('chassis1'), failed.text)
    assert.equal(failed.blade, '', 'an alert of the chassis, not of a blade')
    await scenario.until('both blades are covered', async () => {
      const [alert, ...others] = await scenario.openAlerts()
      return alert?.blades.length === 2 && others.length === 0
    })
    const { blades } = await fleet.admin.ask('listBlades', {})
    assert.deepEqual(
      blades.map(blade => blade.health),
      ['healthy', 'healthy'],
    )
    fleet.blade('blade01').heal('psu-2')
    await allClear(scenario)

    story.chapter('the BMCs give no reading of PS1')
    fleet.blade('blade01').fail('psu-unreadable')
    const unreadable = await scenario.alert('sensor-unreadable')
    assert.ok(unreadable.text.includes('PS1'), unreadable.text)
    const { facts } = await fleet.admin.ask('getBlade', { name: 'blade01' })
    assert.ok(facts.some(fact => fact.kind?.$case === 'unreadable'))
    await nothingMoves(scenario)

    story.chapter('PS1 reads well again')
    fleet.blade('blade01').heal('psu-unreadable')
    await allClear(scenario)
    await nothingMoves(scenario)
    story.expectGolden('power')
  })

  it('an agent that does not report makes its blade silent: an alert, and its VMs are left alone', async t => {
    const scenario = await createScenario(t, { blades: 3, vms: PLACES })
    const { fleet } = scenario

    await fleet.agent('blade01').kill()
    const alert = await scenario.alert('blade-silent')
    assert.ok(alert.text.includes('blade01'), alert.text)
    assert.equal((await fleet.admin.ask('getBlade', { name: 'blade01' })).liveness, 'silent')
    assert.equal((await fleet.admin.ask('getVm', { name: 'web01' })).state, 'lost')
    assert.deepEqual(fleet.chassis.ledger.executingOn(scenario.idOf('web01')), ['blade01'])

    await fleet.agent('blade01').start()
    await allClear(scenario)
    await nothingMoves(scenario)
  })

  it('what an administrator does by his own tools is seen, and is no error', async t => {
    const scenario = await createScenario(t, { blades: 2, vms: PLACES })
    const { fleet } = scenario
    const { hypervisor, addVm } = fleet.blade('blade02')
    const run = createSimRunner(fleet.clock)
    const stateOf = async (name: string) => (await fleet.admin.ask('getVm', { name })).state

    await hypervisor.stop(scenario.idOf('web02'), true, 1000, run)
    await scenario.until('web02 is seen stopped', async () => (await stateOf('web02')) === 'stopped')
    await hypervisor.start(scenario.idOf('web02'), run)
    await scenario.until('web02 is seen running', async () => (await stateOf('web02')) === 'running')
    const volumes = [{ kind: 'file', sizeBytes: 4 * MIB }] as const
    await addVm({ id: vmIdOf(77), name: 'lab01', memoryBytes: GIB, volumes })
    await scenario.until('the new VM is adopted as it stands', async () => {
      const { vms } = await fleet.admin.ask('listVms', { blade: 'blade02' })
      return vms.some(vm => vm.name === 'lab01' && vm.state === 'running')
    })
    assert.deepEqual(await scenario.openAlerts(), [])
    const warnings = scenario.lines.filter(line => / (warn|error) /.test(line))
    assert.deepEqual(warnings, [])
  })
})
