import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GIB } from '../../shared/domain/units.ts'
import { errorCode } from '../../shared/errors.ts'
import { createScenario } from './scenario.ts'

// Stories mostly wait, each for a fleet of its own.
describe('what cannot move', { concurrency: 3 }, () => {
  it('a plan says what cannot move and why, and moves nothing; the evacuation then moves the rest', async t => {
    const places = {
      big01: 'blade01',
      odd01: 'blade01',
      web01: 'blade01',
      web02: 'blade02',
      web03: 'blade03',
    }
    const scenario = await createScenario(t, {
      blades: 3,
      vms: places,
      shape: {
        big01: { memoryBytes: 15 * GIB },
        // None of them finds room beside another one, so nobody can step aside for big01.
        web02: { memoryBytes: 8 * GIB },
        web03: { memoryBytes: 8 * GIB },
        odd01: {
          memoryBytes: 0.25 * GIB,
          obstacles: [{ code: 'passed-through-device', text: 'a GPU of the blade is passed through' }],
        },
      },
    })
    const { fleet, story } = scenario

    // It may have been raised while the fleet was made, before any chapter: told in none, then.
    await scenario.alert('n-plus-one-lost')
    story.chapter('a fleet with a VM that fits on one blade only')
    story.chapter('a plan for blade01')
    const plan = await fleet.admin.ask('planEvacuation', { name: 'blade01' })
    assert.deepEqual(
      plan.moves.map(move => move.vm),
      ['web01'],
    )
    const unplaced = Object.fromEntries(
      plan.unplaced.map(({ vm, reasons }) => [vm, reasons.map(({ code }) => code)]),
    )
    assert.ok(unplaced.big01?.includes('memory-short'), JSON.stringify(unplaced))
    assert.ok(unplaced.odd01?.includes('passed-through-device'), JSON.stringify(unplaced))
    const { operations } = await fleet.admin.ask('listOperations', { all: true, blade: '', vm: '' })
    assert.deepEqual(operations, [])
    await scenario.allRunOn(places)

    story.chapter('blade01 is evacuated')
    await fleet.admin.ask('evacuate', { blade: 'blade01' })
    await scenario.ended('evacuate')
    const target = plan.moves[0]?.to ?? ''
    await scenario.allRunOn({ ...places, web01: target })
    const incomplete = await scenario.alert('evacuation-incomplete')
    assert.ok(incomplete.text.includes('big01'), incomplete.text)
    story.expectGolden('limits')
  })

  it('forty VMs on ten blades at the limit of four: told before a blade fails, and as impossible when it does', async t => {
    const numbers = Array.from({ length: 40 }, (_, index) => index)
    const places = Object.fromEntries(
      numbers.map(index => [
        `vm${String(index + 1).padStart(2, '0')}`,
        `blade${String((index % 10) + 1).padStart(2, '0')}`,
      ]),
    )
    const scenario = await createScenario(t, { blades: 10, vms: places })
    const { fleet } = scenario
    const helps = [/a VM limit of 5 instead of 4 on every blade/, /one more blade like blade\d\d/]

    // Every blade is sound, and yet none of them could be lost.
    const before = await scenario.alert('n-plus-one-lost')
    assert.equal(before.severity, 'moderate')
    assert.equal(before.nextCommand, 'lifeboat capacity')
    for (const help of helps) assert.match(before.text, help)
    const { losses, room } = await fleet.admin.ask('getCapacity', { blade: '' })
    assert.deepEqual([room?.vms, room?.maxVms, room?.roomiest], [40, 40, undefined])
    const blades = losses.filter(loss => loss.kind === 'blade')
    assert.deepEqual(
      blades.map(loss => [loss.survivable, loss.unplaced.length, loss.withoutPoint.length]),
      blades.map(() => [false, 4, 4]),
    )

    fleet.blade('blade03').fail('mirror')
    const evacuation = await scenario.ended('evacuate')
    assert.equal(evacuation.state, 'needs-admin')
    const plan = await fleet.admin.ask('getPlan', { id: evacuation.plan })
    assert.deepEqual(plan.moves, [])
    assert.deepEqual(
      plan.unplaced.map(({ vm, reasons }) => [vm, reasons[0]?.code]),
      ['vm03', 'vm13', 'vm23', 'vm33'].map(vm => [vm, 'no-blade-left']),
    )
    const incomplete = await scenario.alert('evacuation-incomplete')
    for (const help of helps) {
      assert.match(plan.relief.map(each => each.text).join('; '), help)
      assert.match(incomplete.text, help)
    }
    assert.ok(before.since < incomplete.since, 'told before the failure')
    await scenario.allRunOn(places)
  })

  it('one move fails: the others go on, and the failed VM is left alone where it runs', async t => {
    const scenario = await createScenario(t, {
      blades: 3,
      vms: { app01: 'blade01', app02: 'blade01', app03: 'blade01' },
    })
    const { fleet, story } = scenario
    fleet.blade('blade01').knobs.failNextMigration('unable to execute QEMU command: Input/output error')

    story.chapter('blade01 is evacuated, and the first migration breaks')
    await fleet.admin.ask('evacuate', { blade: 'blade01' })
    const evacuation = await scenario.ended('evacuate')
    const moves = await Promise.all(evacuation.children.map(id => scenario.operation(id)))
    const [failed, ...done] = moves
    assert.equal(failed?.vm, 'app01')
    assert.equal(failed?.state, 'undone')
    assert.ok(
      failed?.steps.some(step => step.error.includes('Input/output error')) ||
        failed?.outcome.includes('Input/output'),
      `${JSON.stringify(failed?.steps)} ${failed?.outcome}`,
    )
    assert.deepEqual(
      done.map(move => move.state),
      ['done', 'done'],
    )
    const places = Object.fromEntries(done.map(move => [move.vm, move.to]))
    await scenario.allRunOn({ app01: 'blade01', ...places })
    const told = await scenario.alert('evacuation-incomplete')
    story.expectGolden('one-move-fails')

    // Back in service and healthy, blade01 is as good a place for app01 as any.
    await fleet.admin.ask('setBladeAdmin', { name: 'blade01', admin: 'in-service', reason: '' })
    await scenario.until(
      'the alert is over',
      async () => (await fleet.admin.ask('getAlert', { id: told.id })).clearedAt > 0,
    )
    await scenario.allRunOn({ app01: 'blade01', ...places })
  })

  it('a full blade takes no fifth VM, unless a person passes over the rule for that one command', async t => {
    const full = { app01: 'blade02', app02: 'blade02', app03: 'blade02', app04: 'blade02' }
    const scenario = await createScenario(t, { blades: 2, vms: { web01: 'blade01', ...full } })
    const { fleet } = scenario
    const order = { name: 'web01', to: 'blade02', overrideRules: false, planOnly: false }

    const refusal = await fleet.admin.ask('migrateVm', order).catch((error: unknown) => error)
    assert.equal(errorCode(refusal), 'refused')
    const { reasons } = await fleet.admin.ask('whyNot', { vm: 'web01', blade: 'blade02' })
    assert.deepEqual(
      reasons.map(reason => reason.code),
      ['vm-limit'],
    )
    await scenario.allRunOn({ web01: 'blade01', ...full })

    await fleet.admin.ask('migrateVm', { ...order, overrideRules: true })
    assert.equal((await scenario.ended('move')).state, 'done')
    await scenario.allRunOn({ web01: 'blade02', ...full })
  })
})
