import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { NO_RULES, type PlacementRules } from '../../controller/placement/rules.ts'
import { brokenMirror, vm } from '../fakes/agent-reports.ts'
import { until } from '../fakes/until.ts'
import {
  actTogether,
  ask,
  type ControllerFixture,
  connectFleet,
  type PlayedAgent,
  startController,
} from './controller-fixture.ts'

const RULES: PlacementRules = {
  ...NO_RULES,
  groups: [
    { name: 'mail', kind: 'apart', vms: ['mx1', 'mx2'], across: 'blade', hard: true },
    { name: 'shop', kind: 'together', vms: ['shop', 'shopdb'], across: 'blade', hard: true },
  ],
  vms: [{ vm: 'db01', priority: 0, blades: [], evacuate: { any: 'ask' } }],
}

describe('an evacuation keeps to what the administrator wants', () => {
  let fixture: ControllerFixture
  let agents: PlayedAgent[]

  before(async () => {
    fixture = await startController(config => ({
      ...config,
      placement: { ...config.placement, rules: RULES },
    }))
    agents = await connectFleet(fixture, ['blade01', 'blade02', 'blade03'], {
      blade01: ['db01', 'mx1', 'shop', 'shopdb'].map((name, index) => vm(name, index + 1)),
      blade02: [vm('mx2', 9)],
    })
    actTogether(agents)
  })
  after(async () => {
    for (const agent of agents) agent.disconnect()
    await fixture.close()
  })

  const where = async () => {
    const { vms } = await ask(fixture, 'listVms', { blade: '' })
    return Object.fromEntries(vms.map(each => [each.name, each.blade]))
  }
  const evacuated = (count: number) =>
    until(`${count} evacuations have ended`, async () => {
      const { operations } = await ask(fixture, 'listOperations', { all: true, blade: '', vm: '' })
      const done = operations.filter(each => each.kind === 'evacuate' && each.endedAt > 0)
      return done.length === count && done[0]
    })

  it('says for each VM what is wanted, and refuses what is not', async () => {
    const { story } = await ask(fixture, 'why', { name: 'shop' })
    assert.equal(story.at(-1), "wanted: rule 'shop': together with shopdb")
    const refusals = await Promise.all(
      [
        { vm: 'mx1', blade: 'blade02' },
        { vm: 'shop', blade: 'blade02' },
      ].map(each => ask(fixture, 'whyNot', each)),
    )
    assert.deepEqual(
      refusals.flatMap(each => each.reasons.map(reason => reason.code)),
      ['kept-apart', 'kept-together'],
    )
  })

  it('takes VMs along that belong together, keeps others apart, and leaves the one that waits for a person', async () => {
    const [failing] = agents
    assert.ok(failing)
    failing.facts = brokenMirror()
    failing.report()
    const last = await evacuated(1)
    assert.equal(last.state, 'done', last.outcome)
    assert.match(last.outcome, /^3 of 3 VMs moved in .*; db01 waits for a person when blade01 is emptied for/)
    const places = await where()
    assert.deepEqual([places.db01, places.mx1, places.shop], ['blade01', 'blade03', places.shopdb])
    assert.notEqual(places.shop, 'blade01')
  })

  it('tells who waits and what to type, and does not begin again', async () => {
    const status = await until('status says it', async () => {
      const answer = await ask(fixture, 'getStatus', {})
      return answer.heldBack.length > 0 && answer
    })
    assert.match(status.heldBack.join(), /waiting for a person .*: db01; `lifeboat evacuate blade01` moves/)
    await evacuated(1)
  })

  it('moves it when a person says so', async () => {
    await ask(fixture, 'evacuate', { blade: 'blade01' })
    const last = await evacuated(2)
    assert.equal(last.state, 'done', last.outcome)
    assert.notEqual((await where()).db01, 'blade01')
  })
})
