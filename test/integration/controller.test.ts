import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { brokenMirror, soundFacts, vm } from '../fakes/agent-reports.ts'
import { until } from '../fakes/until.ts'
import {
  actTogether,
  ask,
  type ControllerFixture,
  connectFleet,
  type PlayedAgent,
  startController,
} from './controller-fixture.ts'

function ended(operations: readonly Operation[], kind: string): Operation | undefined {
  return operations.find(each => each.kind === kind && each.endedAt > 0)
}

describe('a failing mirror empties its blade', () => {
  let fixture: ControllerFixture
  let agents: PlayedAgent[]

  before(async () => {
    fixture = await startController()
    agents = await connectFleet(fixture, ['blade01', 'blade02', 'blade03'], {
      blade01: ['db01', 'mail01', 'web01', 'web02'].map((name, index) => vm(name, index + 1)),
    })
    actTogether(agents)
  })
  after(async () => {
    for (const agent of agents) agent.disconnect()
    await fixture.close()
  })

  it('makes a plan, moves every VM live, raises its epoch, and leaves none behind', async () => {
    const [failing] = agents
    assert.ok(failing)
    failing.facts = brokenMirror()
    failing.report()
    const operations = await until('the evacuation has ended', async () => {
      const answer = await ask(fixture, 'listOperations', { all: true, blade: '', vm: '' })
      return ended(answer.operations, 'evacuate') && answer.operations
    })
    const evacuation = ended(operations, 'evacuate')
    assert.equal(evacuation?.state, 'done', evacuation?.outcome)
    assert.match(evacuation?.outcome ?? '', /^4 of 4 VMs moved/)
    assert.equal(evacuation?.children.length, 4)
    const { vms } = await ask(fixture, 'listVms', { blade: '' })
    assert.deepEqual(
      vms.map(each => `${each.name} ${each.state} ${each.epoch}`),
      ['db01 running 1', 'mail01 running 1', 'web01 running 1', 'web02 running 1'],
    )
    assert.ok(vms.every(each => each.blade !== 'blade01'))
    assert.deepEqual(failing.vms, [], 'the source has released them')
  })

  it('keeps the figures and the steps of each move with its operation', async () => {
    const { operations } = await ask(fixture, 'listOperations', { all: true, blade: '', vm: 'db01' })
    const move = ended(operations, 'move')
    assert.equal(move?.downtimeMs, 120)
    assert.deepEqual(
      move?.steps.map(step => `${step.name} ${step.state}`),
      ['reserve done', 'prepare-target done', 'send done', 'confirm-target done', 'release-source done'],
    )
    assert.deepEqual(move?.commands[0]?.argv, ['virsh', 'migrate', 'db01'])
    assert.equal(move?.commands[0]?.blade, 'blade01')
  })

  it('tells a person which disk is lost and that the blade is quarantined', async () => {
    const alert = await until('the alert is raised', async () => {
      const { alerts } = await ask(fixture, 'listAlerts', { all: false })
      return alerts.find(each => each.code === 'mirror-degraded')
    })
    assert.match(alert.text, /blade01.*leg1.*md0/)
    const blade = await ask(fixture, 'getBlade', { name: 'blade01' })
    assert.equal(blade.quarantined, true)
    assert.equal(blade.liveness, 'up')
  })

  it('stores the plan with what became of each move, and tells the story of each VM', async () => {
    const plan = await ask(fixture, 'getPlan', { id: '' })
    assert.equal(plan.blade, 'blade01')
    assert.deepEqual(new Set(plan.moves.map(move => move.state)), new Set(['done']))
    const why = await ask(fixture, 'why', { name: 'db01' })
    assert.ok(why.story.some(line => /plan p1: blade01 → blade0[23], live/.test(line)))
    assert.ok(why.story.some(line => /vm db01: moving => running \(plan p1, blade01 → /.test(line)))
  })

  it('does not empty the blade again for the same case', async () => {
    const { operations } = await ask(fixture, 'listOperations', { all: true, blade: '', vm: '' })
    assert.equal(operations.filter(each => each.kind === 'evacuate').length, 1)
  })
})

describe('automation is paused', () => {
  let fixture: ControllerFixture
  let agents: PlayedAgent[]

  before(async () => {
    fixture = await startController()
    agents = await connectFleet(fixture, ['blade01', 'blade02'], { blade01: [vm('web01', 1)] })
    actTogether(agents)
    await ask(fixture, 'setAutomation', { paused: true, reason: 'switch is being replaced' })
  })
  after(async () => {
    for (const agent of agents) agent.disconnect()
    await fixture.close()
  })

  it('moves nothing, and status says what it would do and why it does not', async () => {
    const [failing] = agents
    assert.ok(failing)
    failing.facts = brokenMirror()
    failing.report()
    const status = await until('it says what it holds back', async () => {
      const now = await ask(fixture, 'getStatus', {})
      return now.heldBack.length > 0 && now
    })
    assert.match(
      status.heldBack[0] ?? '',
      /blade01 would be emptied.*automation is paused by local \(switch is being replaced\)/,
    )
    assert.equal(status.automation?.pausedBy, 'local')
    assert.deepEqual(status.operations, [])
  })

  it('survives a restart of the controller', async () => {
    await fixture.restart()
    assert.equal((await ask(fixture, 'getAutomation', {})).paused, true)
  })

  it('goes on when it is resumed', async () => {
    agents = await connectFleet(fixture, [], {}, agents)
    await ask(fixture, 'setAutomation', { paused: false, reason: '' })
    const [failing] = agents
    failing?.report()
    await until('the VM has moved', async () => {
      const { vms } = await ask(fixture, 'listVms', { blade: 'blade02' })
      return vms.some(each => each.name === 'web01' && each.state === 'running')
    })
  })
})

describe('a person asks', () => {
  let fixture: ControllerFixture
  let agents: PlayedAgent[]

  before(async () => {
    fixture = await startController()
    agents = await connectFleet(fixture, ['blade01', 'blade02', 'blade03'], {
      blade01: [vm('huge01', 1, { memoryBytes: 64 * 2 ** 30 }), vm('off01', 2, { state: 'stopped' })],
      blade02: [3, 4, 5, 6].map(number => vm(`web0${number}`, number)),
    })
    actTogether(agents)
  })
  after(async () => {
    for (const agent of agents) agent.disconnect()
    await fixture.close()
  })

  it('for a plan: it names what cannot move and why, moves nothing and stores nothing', async () => {
    const plan = await ask(fixture, 'planEvacuation', { name: 'blade01' })
    assert.equal(plan.id, '')
    assert.deepEqual(
      plan.moves.map(move => `${move.vm} ${move.method}`),
      ['off01 cold'],
    )
    assert.deepEqual(
      plan.unplaced.map(each => each.vm),
      ['huge01'],
    )
    assert.ok(plan.unplaced[0]?.reasons.some(reason => reason.code === 'memory-short'))
    await assert.rejects(ask(fixture, 'getPlan', { id: '' }), /no plan has been made yet/)
    const { operations } = await ask(fixture, 'listOperations', { all: true, blade: '', vm: '' })
    assert.deepEqual(operations, [])
  })

  it('to move a VM to a full blade: refused with the reason, done when the rule is overridden', async () => {
    const request = { name: 'off01', to: 'blade02', overrideRules: false, planOnly: false }
    await assert.rejects(ask(fixture, 'migrateVm', request), (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'refused')
      assert.match(error.details.join(' '), /4 of 4|4 VMs/)
      return true
    })
    const why = await ask(fixture, 'whyNot', { vm: 'off01', blade: 'blade02' })
    assert.deepEqual([why.possible, why.reasons.map(reason => reason.code)], [false, ['vm-limit']])
    const operation = await ask(fixture, 'migrateVm', { ...request, overrideRules: true })
    const last = await until('it has ended', async () => {
      const now = await ask(fixture, 'getOperation', { id: operation.id })
      return now.endedAt > 0 && now
    })
    assert.equal(last.state, 'done', last.outcome)
    assert.equal((await ask(fixture, 'getVm', { name: 'off01' })).blade, 'blade02')
  })

  it('to start and stop a VM: one operation each, watched to its end', async () => {
    const stop = await ask(fixture, 'changeVm', { name: 'web03', action: 'stop', force: false })
    const seen: string[] = []
    for await (const update of fixture.admin.watchOperation({ id: stop.id }))
      seen.push((update as Operation).state)
    assert.equal(seen.at(-1), 'done')
    await until(
      'the report shows it',
      async () => (await ask(fixture, 'getVm', { name: 'web03' })).state === 'stopped',
    )
    const start = await ask(fixture, 'changeVm', { name: 'web03', action: 'start', force: true })
    await until(
      'it runs',
      async () => (await ask(fixture, 'getOperation', { id: start.id })).state === 'done',
    )
  })

  it('for things that are not there: each error names the thing and the next command', async () => {
    await assert.rejects(ask(fixture, 'getVm', { name: 'nope' }), /no VM nope; lifeboat vm list/)
    await assert.rejects(ask(fixture, 'getBlade', { name: 'nope' }), /no blade nope; lifeboat blade list/)
    await assert.rejects(
      ask(fixture, 'getOperation', { id: 'o999' }),
      /no operation o999; lifeboat operation list --all/,
    )
    await assert.rejects(ask(fixture, 'getAlert', { id: 'a999' }), /no alert a999; lifeboat alert list --all/)
    await assert.rejects(ask(fixture, 'evacuate', { blade: 'nope' }), /no blade nope/)
    await assert.rejects(
      ask(fixture, 'addBlade', {
        name: 'Blade 9',
        chassis: '',
        slot: 0,
        feeds: [],
        switches: [],
        tokenTtlMinutes: 0,
      }),
      /'Blade 9' is not a blade name/,
    )
  })

  it('to remove a blade that has VMs: refused; an empty one goes, and its certificate with it', async () => {
    await assert.rejects(ask(fixture, 'removeBlade', { name: 'blade02' }), /lifeboat evacuate blade02/)
    await ask(fixture, 'removeBlade', { name: 'blade03' })
    const { blades } = await ask(fixture, 'listBlades', {})
    assert.deepEqual(
      blades.map(blade => blade.name),
      ['blade01', 'blade02'],
    )
    const removed = agents.find(agent => agent.blade === 'blade03')
    assert.equal(await removed?.connect(), undefined)
    assert.match((await removed?.ended.promise)?.details ?? '', /not valid any more/)
  })

  it('to evacuate: the blade is cordoned, and what cannot move is left with a reason and a next command', async () => {
    agents.find(agent => agent.blade === 'blade01')?.report({ facts: soundFacts() })
    const begun = await ask(fixture, 'evacuate', { blade: 'blade01' })
    const id = begun.operation?.id ?? ''
    const last = await until('it has ended', async () => {
      const now = await ask(fixture, 'getOperation', { id })
      return now.endedAt > 0 && now
    })
    assert.equal(last.state, 'needs-admin')
    assert.match(last.outcome, /0 of 1 VMs moved.*left on blade01: huge01/)
    assert.equal(last.nextCommand, 'lifeboat evacuate blade01 --plan')
    assert.equal((await ask(fixture, 'getBlade', { name: 'blade01' })).admin, 'cordoned')
    const alert = await until('the alert is raised', async () => {
      const { alerts } = await ask(fixture, 'listAlerts', { all: false })
      return alerts.find(each => each.code === 'evacuation-incomplete')
    })
    await ask(fixture, 'acknowledgeAlert', { id: alert.id, note: 'huge01 is switched off tonight' })
    assert.equal((await ask(fixture, 'getAlert', { id: alert.id })).acknowledgedBy, 'local')
  })
})
