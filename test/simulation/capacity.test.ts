import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GIB } from '../../shared/domain/units.ts'
import { errorCode } from '../../shared/errors.ts'
import { createScenario } from './scenario.ts'

/** One VM fits beside nobody, and no blade is empty enough for it: one move makes one so. */
const PLACES = { big01: 'blade01', app01: 'blade02', app02: 'blade02', web01: 'blade03', web02: 'blade03' }
const SHAPE = {
  big01: { memoryBytes: 11 * GIB },
  app01: { memoryBytes: 4 * GIB },
  app02: { memoryBytes: 2 * GIB },
  web01: { memoryBytes: 5 * GIB },
  web02: { memoryBytes: 4 * GIB },
}

describe('what the fleet could lose', { concurrency: 2 }, () => {
  it('N+1 is lost, told, planned for, restored by one move, and the VM then has its rest', async t => {
    const scenario = await createScenario(t, { blades: 3, vms: PLACES, shape: SHAPE })
    const { fleet } = scenario
    await scenario.alert('n-plus-one-lost')
    const { losses } = await fleet.admin.ask('getCapacity', { blade: 'blade01' })
    assert.deepEqual(
      losses[0]?.unplaced.map(({ vm }) => vm),
      ['big01'],
    )

    const planned = await fleet.admin.ask('planRebalance', {})
    const moves = planned.plan?.moves.map(({ vm, from, role }) => [vm, from, role])
    assert.deepEqual(moves, [['app02', 'blade02', 'balances']])
    assert.deepEqual([planned.nPlusOneBefore?.kept, planned.plan?.nPlusOne?.kept], [false, true])
    await scenario.allRunOn(PLACES)

    const applied = await fleet.admin.ask('applyRebalance', {})
    const busy = await fleet.admin.ask('applyRebalance', {}).catch((error: unknown) => error)
    assert.equal(errorCode(busy), 'busy')
    const ended = await scenario.ended('evacuate')
    assert.deepEqual([ended.id, ended.state, ended.from], [applied.operation?.id, 'done', ''])
    assert.match(ended.outcome, /^1 of 1 VMs moved in /)
    await scenario.allRunOn({ ...PLACES, app02: applied.plan?.moves[0]?.to ?? '' })
    await scenario.until('the alert is over', async () => (await scenario.openAlerts()).length === 0)
    const { blades } = await fleet.admin.ask('listBlades', {})
    assert.ok(
      blades.every(blade => blade.admin === 'in-service'),
      'a rebalancing cordons nothing',
    )

    const again = await fleet.admin.ask('applyRebalance', {})
    assert.deepEqual([again.operation, again.plan?.moves, again.plan?.id], [undefined, [], ''])
    assert.match(again.leftAlone.join(), /^app02 was moved lately and is left alone for 23 h/)
  })

  it('what-if moves nothing and is answered by the planner; a question about nothing is refused', async t => {
    const scenario = await createScenario(t, { blades: 3, vms: PLACES, shape: SHAPE })
    const { fleet } = scenario
    const nothing = { remove: [], addVms: [], addBlades: [] }
    const without = await fleet.admin.ask('whatIf', { ...nothing, remove: ['blade01'] })
    assert.deepEqual(
      without.moves.map(({ vm, to, role }) => [vm, to, role]),
      [
        ['app02', 'blade03', 'makes-room'],
        ['big01', 'blade02', 'leaves'],
      ],
    )
    assert.deepEqual([without.fits, without.nPlusOneAfter?.kept], [true, false])
    const like = { like: 'blade02', name: '', count: 0, memoryBytes: 0, maxVms: 0, chassis: '' }
    const more = await fleet.admin.ask('whatIf', { ...nothing, addBlades: [like] })
    assert.deepEqual([more.nPlusOneBefore?.kept, more.nPlusOneAfter?.kept], [false, true])
    const refused = await fleet.admin.ask('whatIf', nothing).catch((error: unknown) => error)
    assert.equal(errorCode(refused), 'bad-input')
    await scenario.allRunOn(PLACES)
  })
})
