import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Order, OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import { vm } from '../fakes/agent-reports.ts'
import { until } from '../fakes/until.ts'
import {
  actTogether,
  ask,
  type ControllerFixture,
  connectFleet,
  type PlayedAgent,
  startController,
} from './controller-fixture.ts'

describe('a move meets trouble', () => {
  let fixture: ControllerFixture
  let agents: PlayedAgent[]
  let source: PlayedAgent
  let target: PlayedAgent

  beforeEach(async () => {
    fixture = await startController()
    agents = await connectFleet(fixture, ['blade01', 'blade02'], { blade01: [vm('web01', 1)] })
    actTogether(agents)
    const [first, second] = agents
    assert.ok(first && second)
    source = first
    target = second
  })
  afterEach(async () => {
    for (const agent of agents) agent.disconnect()
    await fixture.close()
  })

  const migrate = () =>
    ask(fixture, 'migrateVm', { name: 'web01', to: 'blade02', overrideRules: false, planOnly: false })
  const ended = (id: string) =>
    until('the operation has ended', async () => {
      const now = await ask(fixture, 'getOperation', { id })
      return now.endedAt > 0 && now
    })
  /** The order is accepted and goes on until the test ends it. */
  const holdBack = (agent: PlayedAgent, kind: string): Promise<Order> => {
    const held = Promise.withResolvers<Order>()
    const answer = agent.answer
    agent.answer = order => {
      if (order.kind?.$case !== kind) return answer(order)
      held.resolve(order)
      return { state: 'running', step: 'migrate', doneBytes: 10, totalBytes: 100 }
    }
    return held.promise
  }
  const finishSend = (order: Order) => {
    source.vms = source.vms.map(each => ({ ...each, state: 'stopped' as const }))
    source.report()
    source.finish(order, { state: 'done' })
  }

  it('the controller stops in the middle: the agent is not told to abort, and the next run goes on', async () => {
    const holding = holdBack(source, 'sendLive')
    const { id } = await migrate()
    const order = await holding
    await fixture.restart()
    assert.deepEqual(source.aborted, [])
    source.answer = () => undefined
    const running = OrderStatus.fromPartial({
      orderId: order.orderId,
      generation: order.generation,
      state: 'running',
    })
    await source.connect({ orders: [running] })
    await target.connect()
    for (const agent of agents) agent.report()
    await until(
      'the order is given again under its old id',
      () => source.orders.filter(each => each.orderId === order.orderId).length === 2,
    )
    actTogether(agents)
    // Playing again what the target had prepared before the restart.
    target.vms = [vm('web01', 1, { epoch: 1 })]
    finishSend(order)
    const last = await ended(id)
    assert.equal(last.state, 'done', last.outcome)
    assert.equal((await ask(fixture, 'getVm', { name: 'web01' })).blade, 'blade02')
    const prepared = target.orders.filter(each => each.kind?.$case === 'prepareIncoming')
    assert.equal(prepared.length, 1, 'what was journaled as done is not ordered again')
  })

  it('the order ends while the controller is away: its end is taken from the greeting', async () => {
    const holding = holdBack(source, 'sendLive')
    const { id } = await migrate()
    const order = await holding
    await fixture.restart()
    actTogether(agents)
    source.vms = source.vms.map(each => ({ ...each, state: 'stopped' as const }))
    target.vms = [vm('web01', 1, { epoch: 1 })]
    const done = OrderStatus.fromPartial({
      orderId: order.orderId,
      generation: order.generation,
      state: 'done',
    })
    await target.connect()
    await source.connect({ orders: [done] })
    for (const agent of agents) agent.report()
    assert.equal((await ended(id)).state, 'done')
    assert.ok(source.seenEnds.includes(order.orderId))
  })

  it('a blade is away when it is ordered: the order waits for it', async () => {
    target.disconnect()
    await until('it is gone', () => fixture.lines.some(line => /blade blade02: disconnected/.test(line)))
    const { id } = await migrate()
    await target.connect()
    target.report()
    assert.equal((await ended(id)).state, 'done')
  })

  it('a person aborts: the agent is told, the target drops what it made, the VM stays', async () => {
    const holding = holdBack(source, 'sendLive')
    const { id } = await migrate()
    const order = await holding
    assert.equal((await ask(fixture, 'abortOperation', { id })).state, 'aborting')
    await until('the agent is told', () => source.aborted.includes(order.orderId))
    source.finish(order, { state: 'undone', error: { code: 'aborted', message: 'migration cancelled' } })
    const last = await ended(id)
    assert.equal(last.state, 'undone')
    assert.match(last.outcome, /web01 stays on blade01/)
    assert.ok(target.orders.some(each => each.kind?.$case === 'discardIncoming'))
    assert.equal((await ask(fixture, 'getVm', { name: 'web01' })).state, 'running')
    await assert.rejects(ask(fixture, 'abortOperation', { id }), /has ended already/)
  })

  it('the source fails: the target drops what it made, and the figures say why', async () => {
    const answer = source.answer
    source.answer = order =>
      order.kind?.$case === 'sendLive'
        ? { state: 'undone', error: { code: 'command-failed', message: 'virsh exited with 1' } }
        : answer(order)
    const { id } = await migrate()
    const last = await ended(id)
    assert.equal(last.state, 'undone')
    assert.match(last.outcome, /virsh exited with 1/)
    assert.ok(target.orders.some(each => each.kind?.$case === 'discardIncoming'))
  })

  it('the target cannot confirm: nobody goes back, an alert names the next command, and it can be settled', async () => {
    const answer = target.answer
    target.answer = order =>
      order.kind?.$case === 'confirmIncoming'
        ? { state: 'needs-admin', error: { code: 'internal', message: 'the VM does not resume' } }
        : answer(order)
    const { id } = await migrate()
    const last = await ended(id)
    assert.equal(last.state, 'needs-admin')
    assert.match(last.outcome, /web01 left blade01, and blade02 does not confirm it/)
    assert.notEqual(last.nextCommand, '')
    assert.ok(!target.orders.some(each => each.kind?.$case === 'discardIncoming'))
    const alert = await until('an alert is raised', async () => {
      const { alerts } = await ask(fixture, 'listAlerts', { all: false })
      return alerts.find(each => each.code === 'operation-needs-admin')
    })
    assert.equal(alert.subject, id)
  })

  it('two operations on one VM: the second is refused and told which is in the way', async () => {
    const holding = holdBack(source, 'sendLive')
    const { id } = await migrate()
    const order = await holding
    await assert.rejects(
      ask(fixture, 'changeVm', { name: 'web01', action: 'stop', force: false }),
      new RegExp(`operation ${id} \\(move\\) works on web01`),
    )
    finishSend(order)
    await ended(id)
  })

  it('progress and the agent’s own steps are seen while it works', async () => {
    const holding = holdBack(source, 'sendLive')
    const { id } = await migrate()
    const order = await holding
    const now = await until('progress is seen', async () => {
      const seen = await ask(fixture, 'getOperation', { id })
      return seen.totalBytes === 100 && seen
    })
    assert.equal(now.doneBytes, 10)
    assert.ok(now.steps.some(step => step.name === 'send/migrate (blade01)' && step.state === 'running'))
    finishSend(order)
    await ended(id)
  })
})
