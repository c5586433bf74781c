import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { afterEach, beforeEach, test } from 'node:test'
import { connect } from 'node:tls'
import { createPeerClient } from '../../agent/peer/client.ts'
import { identityPath } from '../../agent/session/identity-file.ts'
import { createSimRunner } from '../../agent/sim/runner.ts'
import { systemClock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { createAuthority, createIdentity } from '../../shared/rpc/certificates.ts'
import { type AgentWorld, createAgentWorld, smallVm } from './agent-world.ts'

const WEB = '11111111-1111-4111-8111-111111111111'

let world: AgentWorld
beforeEach(async () => {
  world = await createAgentWorld()
})
afterEach(async test => {
  await world.end(test)
})

test('an agent reports its VMs, its capacity and its health without being asked', async () => {
  const blade = await world.blade('blade01')
  await blade.addVm(smallVm(WEB, 'web01'))
  await world.agent(blade)
  await world.controller.until(() => (world.controller.reports.get('blade01')?.facts.length ?? 0) >= 3)
  const report = world.controller.reports.get('blade01')
  assert.equal(report?.complete, true)
  assert.equal(report?.vms[0]?.name, 'web01')
  assert.equal(report?.vms[0]?.volumes[0]?.pool, 'vg0')
  assert.ok((report?.capacity?.pools.length ?? 0) >= 3)
  assert.deepEqual(report?.facts.map(fact => fact.kind?.$case).sort(), ['bond', 'mirror', 'power'])
})

test('what an administrator does behind our back is reported at once, not at the next interval', async () => {
  const blade = await world.blade('blade01')
  await blade.addVm(smallVm(WEB, 'web01'))
  await world.agent(blade)
  // The interval of this controller is a minute: a report in time can only be the nudge.
  await world.controller.until(() => world.controller.reports.get('blade01')?.vms[0]?.state === 'running')
  await blade.hypervisor.pause(WEB, createSimRunner(systemClock))
  await world.controller.until(() => world.controller.reports.get('blade01')?.vms[0]?.state === 'paused')
})

test('an order that was not acknowledged is told again after a reconnect, events only until they are received', async () => {
  const blade = await world.blade('blade01')
  await blade.addVm(smallVm(WEB, 'web01'))
  world.controller.acknowledge = false
  await world.agent(blade)
  await world.controller.until(() => world.controller.reports.size === 1)
  const order = world.controller.give('blade01', {
    orderId: 'o1/pause',
    vmId: WEB,
    generation: 1,
    kind: { $case: 'pause', value: {} },
  })
  await world.controller.end(order)
  world.controller.acknowledge = true
  world.controller.dropSessions()
  await world.controller.until(() => world.controller.hellos.length === 2)
  assert.deepEqual(
    world.controller.hellos[1]?.orders.map(status => [status.orderId, status.state]),
    [['o1/pause', 'done']],
  )
  const started = (world.controller.events.get('blade01') ?? []).filter(
    event => event.kind === 'agent-started',
  )
  assert.equal(started.length, 1)
})

test('an abort that overtakes its order keeps the order from being carried out', async () => {
  const blade = await world.blade('blade01')
  await blade.addVm(smallVm(WEB, 'web01'))
  await world.agent(blade)
  await world.controller.until(() => world.controller.reports.size === 1)
  world.controller.abort('blade01', 'o1/stop')
  await world.controller.until(() => world.controller.statuses.some(status => status.orderId === 'o1/stop'))
  const order = world.controller.give('blade01', {
    orderId: 'o1/stop',
    vmId: WEB,
    generation: 1,
    kind: { $case: 'stop', value: { force: true } },
  })
  const status = await world.controller.end(order)
  assert.equal(status.state, 'refused')
  assert.equal(status.error?.code, 'aborted')
  assert.equal(await blade.hypervisor.state(WEB), 'running')
})

test('a controller of another protocol is told of once in the log, with what to do', async () => {
  const blade = await world.blade('blade01')
  world.controller.refuseWith = new LifeboatError(
    'version-mismatch',
    'this agent is older: upgrade the agent',
  )
  await world.agent(blade)
  const lines = () => world.log.filter(line => line.includes('no session with the controller'))
  await world.controller.until(() => lines().length > 0)
  assert.match(lines()[0] ?? '', /version-mismatch.*upgrade the agent/)
})

test('the peer port lets in nobody without a certificate of this fleet, and says so in the log', async () => {
  const blade = await world.blade('blade01')
  const agent = await world.agent(blade)
  const [host = '', port = '0'] = agent.peerListen.split(':')
  const strangers = await createAuthority(systemClock.now())
  const foreign = await createIdentity(strangers, { name: 'blade02', role: 'blade' }, systemClock.now(), 1)
  for (const certificate of [{}, { key: foreign.privateKeyPem, cert: foreign.certificatePem }]) {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...certificate })
    socket.on('error', () => {})
    socket.write('{"channel":"state","moveId":"m1","vmId":"v"}\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.match(answer.toString(), /not-authenticated/)
    socket.destroy()
  }
  assert.equal(world.log.filter(line => /peer refused.*no valid certificate/.test(line)).length, 2)
})

test('a controller certificate is not a blade, and a blade is not another one', async () => {
  const blade = await world.blade('blade01')
  const agent = await world.agent(blade)
  const header = { channel: 'state', moveId: 'm1', vmId: WEB } as const
  const controller = await createIdentity(
    world.authority,
    { name: 'controller', role: 'controller' },
    systemClock.now(),
    1,
  )
  const asController = createPeerClient({ identity: () => controller, clock: systemClock })
  await assert.rejects(asController.ask({ blade: 'blade01', address: agent.peerListen }, header), {
    code: 'not-allowed',
  })
  const own = await world.identityOf('blade02')
  const asBlade = createPeerClient({ identity: () => own, clock: systemClock })
  // The address leads to blade01, the order said blade03: the certificate does not fit, so nothing is sent.
  await assert.rejects(asBlade.ask({ blade: 'blade03', address: agent.peerListen }, header), {
    code: 'unavailable',
  })
})

test('a second agent on the same port does not start, and says what is in the way', async () => {
  const blade = await world.blade('blade01')
  const agent = await world.agent(blade)
  const other = await world.blade('blade02')
  await assert.rejects(world.agent(other, {}, agent.peerListen), /peer port \d+ is in use/)
})

test('the key of a blade is readable by root alone', async () => {
  const blade = await world.blade('blade01')
  await world.agent(blade)
  const path = identityPath(world.stateDir('blade01'))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.match(await readFile(path, 'utf8'), /PRIVATE KEY/)
})
