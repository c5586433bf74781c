import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { brokenMirror, vm } from '../fakes/agent-reports.ts'
import { until } from '../fakes/until.ts'
import {
  ask,
  type ControllerFixture,
  connectFleet,
  type PlayedAgent,
  startController,
} from './controller-fixture.ts'

describe('a second blade of three fails while the first is emptied', () => {
  let fixture: ControllerFixture
  let agents: PlayedAgent[]

  before(async () => {
    fixture = await startController()
    agents = await connectFleet(fixture, ['blade01', 'blade02', 'blade03'], {
      blade01: ['db01', 'mail01', 'web01', 'web02'].map((name, index) => vm(name, index + 1)),
    })
    // The copies take their time.
    for (const agent of agents)
      agent.answer = order => (order.kind?.$case === 'sendLive' ? undefined : { state: 'done' })
  })
  after(async () => {
    for (const agent of agents) agent.disconnect()
    await fixture.close()
  })

  const fail = (index: number) => {
    const agent = agents[index]
    assert.ok(agent)
    agent.facts = brokenMirror()
    agent.report()
  }
  const evacuation = async () => {
    const { operations } = await ask(fixture, 'listOperations', { all: true, blade: '', vm: '' })
    return operations.find(operation => operation.kind === 'evacuate')
  }

  it('status says what waits and how it goes on, and so does the operation', async () => {
    fail(0)
    await until('two copies are under way', async () => {
      const begun = await evacuation()
      return /moving now: \w+ \w+/.test(begun?.outcome ?? '')
    })
    fail(1)
    const held = await until('it is held back', async () => {
      const status = await ask(fixture, 'getStatus', {})
      return status.heldBack.find(text => text.startsWith('the evacuation of blade01'))
    })
    assert.match(
      held,
      /^the evacuation of blade01 \(operation o\d+\) waits with 2 moves, for 2 of 3 blades look bad at once .*\(rule 10\); it goes on when fewer of them look bad; `lifeboat operation abort o\d+` ends it, and then `lifeboat evacuate blade01` does it all the same$/,
    )
    const waiting = await evacuation()
    assert.match(waiting?.outcome ?? '', /^0 of 4 VMs moved, .*held back: `lifeboat status` says by what$/)
    assert.equal(waiting?.endedAt, 0)
  })
})
