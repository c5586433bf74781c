import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { credentials } from '@grpc/grpc-js'
import { AdminClient } from '../../proto/gen/lifeboat/v1/admin.ts'
import { IntakeClient } from '../../proto/gen/lifeboat/v1/intake.ts'
import { systemClock } from '../../shared/clock.ts'
import {
  createAuthority,
  createIdentity,
  createRequest,
  type Identity,
} from '../../shared/rpc/certificates.ts'
import {
  channelOptions,
  createAnonymousChannelCredentials,
  createChannelCredentials,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { formatJoinToken } from '../../shared/rpc/join-token.ts'
import { reportToWire } from '../../shared/wire/convert.ts'
import { soundCapacity, soundFacts, vm } from '../fakes/agent-reports.ts'
import { until } from '../fakes/until.ts'
import {
  ask,
  type ControllerFixture,
  enrol,
  joinWithToken,
  PlayedAgent,
  startController,
} from './controller-fixture.ts'

const LIMIT = { timeoutMs: 5000 }
const NEW_BLADE = { chassis: '', slot: 0, feeds: [], switches: [], tokenTtlMinutes: 0 }

describe('at the door of the controller', () => {
  let fixture: ControllerFixture
  let identity: Identity
  let now = systemClock.now()

  before(async () => {
    fixture = await startController(config => config, { clock: { ...systemClock, now: () => now } })
    identity = await enrol(fixture, 'blade02')
  })
  after(async () => fixture.close())

  const logged = (pattern: RegExp) => {
    assert.ok(
      fixture.lines.some(line => line.startsWith('warn') && pattern.test(line)),
      `no warning like ${pattern}`,
    )
  }

  it('a token joins once: the second use is refused, and logged with the address', async () => {
    const { token } = await ask(fixture, 'addBlade', { name: 'blade03', ...NEW_BLADE })
    await joinWithToken(fixture, token)
    await assert.rejects(joinWithToken(fixture, token), /the token of blade03 has been used already/)
    logged(/request refused.*Join.*address=127\.0\.0\.1:\d+.*used already/)
  })

  it('an expired token joins nothing', async () => {
    const { token, expiresAt } = await ask(fixture, 'addBlade', { name: 'blade04', ...NEW_BLADE })
    now = expiresAt
    await assert.rejects(
      joinWithToken(fixture, token),
      /the token of blade04 has expired; `lifeboat blade add blade04`/,
    )
    logged(/blade04 has expired/)
    now = systemClock.now()
  })

  it('an unknown token joins nothing', async () => {
    const authority = 'a'.repeat(64)
    const token = formatJoinToken({ blade: 'blade05', secret: 'guessed', authority, expiresAt: 0 })
    await assert.rejects(joinWithToken(fixture, token), /this token is not known here/)
    logged(/not known here/)
  })

  it('a token is kept as a hash only, and a newer one makes it worthless', async () => {
    const first = await ask(fixture, 'addBlade', { name: 'blade06', ...NEW_BLADE })
    await ask(fixture, 'addBlade', { name: 'blade06', ...NEW_BLADE })
    await assert.rejects(joinWithToken(fixture, first.token), /not known here/)
  })

  it('a client without a certificate gets nothing', async () => {
    const address = fixture.controller.grpcAddress
    const admin = new AdminClient(address, createAnonymousChannelCredentials(), channelOptions('controller'))
    await assert.rejects(unary(admin, 'getStatus', {}, LIMIT), { code: 'not-authenticated' })
    admin.close()
    const intake = new IntakeClient(
      address,
      createAnonymousChannelCredentials(),
      channelOptions('controller'),
    )
    const { requestPem } = await createRequest('blade02')
    await assert.rejects(unary(intake, 'renewCertificate', { certificateRequestPem: requestPem }, LIMIT), {
      code: 'not-authenticated',
    })
    intake.close()
    logged(/request refused.*GetStatus/)
  })

  it('a certificate of another authority is no certificate', async () => {
    const foreign = await createAuthority(now)
    const forged = await createIdentity(foreign, { name: 'blade02', role: 'blade' }, now, 1)
    const agent = new PlayedAgent(fixture, 'blade02', { ...forged, authorityPem: identity.authorityPem })
    assert.equal(await agent.connect(), undefined)
    agent.disconnect()
  })

  it('the certificate of blade02 cannot speak for blade03', async () => {
    const agent = new PlayedAgent(fixture, 'blade02', identity)
    assert.equal(await agent.connect({ blade: 'blade03' }), undefined)
    assert.match((await agent.ended.promise).details, /a certificate of blade02 cannot speak for blade03/)
    logged(/request refused.*Session.*blade02.*cannot speak for blade03/)
    agent.disconnect()
  })

  it('a blade is no administrator, and the local socket is no blade', async () => {
    const client = new AdminClient(
      fixture.controller.grpcAddress,
      createChannelCredentials(identity),
      channelOptions('controller'),
    )
    await assert.rejects(unary(client, 'setAutomation', { paused: true, reason: '' }, LIMIT), {
      code: 'not-allowed',
    })
    client.close()
    const intake = new IntakeClient(`unix:${fixture.config.listen.socket}`, credentials.createInsecure())
    await assert.rejects(unary(intake, 'renewCertificate', { certificateRequestPem: '' }, LIMIT), {
      code: 'not-allowed',
    })
    intake.close()
    assert.equal((await ask(fixture, 'getAutomation', {})).paused, false)
  })

  it('a renewed certificate speaks for the blade, and the old one until it expires', async () => {
    const client = new IntakeClient(
      fixture.controller.grpcAddress,
      createChannelCredentials(identity),
      channelOptions('controller'),
    )
    const { privateKeyPem, requestPem } = await createRequest('blade99')
    const renewed = await unary(client, 'renewCertificate', { certificateRequestPem: requestPem }, LIMIT)
    client.close()
    assert.equal(renewed.blade, 'blade02', 'the name is the controller’s choice, not the request’s')
    for (const each of [identity, { ...identity, certificatePem: renewed.certificatePem, privateKeyPem }]) {
      const agent = new PlayedAgent(fixture, 'blade02', each)
      assert.equal((await agent.connect())?.kind?.$case, 'welcome')
      agent.disconnect()
    }
  })

  it('an agent of another protocol is refused with the side to upgrade, and an alert is opened', async () => {
    const agent = new PlayedAgent(fixture, 'blade02', identity)
    assert.equal(await agent.connect({ protocol: 0, agentVersion: '0.0.9' }), undefined)
    assert.match((await agent.ended.promise).details, /0\.0\.9\) is too old.*upgrade Lifeboat on blade02/)
    assert.equal(await agent.connect({ protocol: 99, agentVersion: '9.0.0' }), undefined)
    assert.match(
      (await agent.ended.promise).details,
      /newer than this controller.*upgrade Lifeboat on the controller/,
    )
    await until('the alert is there', async () => {
      const { alerts } = await ask(fixture, 'listAlerts', { all: false })
      return alerts.some(each => each.code === 'agent-version')
    })
    agent.disconnect()
  })
})

describe('a session of an agent', () => {
  let fixture: ControllerFixture
  let agent: PlayedAgent

  before(async () => {
    fixture = await startController()
    agent = new PlayedAgent(fixture, 'blade01', await enrol(fixture, 'blade01'))
    agent.vms = [vm('web01', 1)]
    await agent.connect()
    agent.report()
    await until('the VM is seen', async () => (await ask(fixture, 'listVms', { blade: '' })).vms.length === 1)
  })
  after(async () => {
    agent.disconnect()
    await fixture.close()
  })

  const report = (sequence: number) =>
    reportToWire({
      sequence,
      observedAt: 1,
      facts: soundFacts(),
      vms: [vm('web01', 1, { state: 'paused' })],
      capacity: soundCapacity(),
      complete: true,
    })
  const vmState = async () => (await ask(fixture, 'getVm', { name: 'web01' })).state

  it('refuses a bad report whole, says what is wrong once, and lives on', async () => {
    const bad = report(50)
    for (const sequence of [50, 51]) {
      agent.raw({
        kind: {
          $case: 'report',
          value: { ...bad, sequence, vms: bad.vms.map(each => ({ ...each, memoryBytes: -1 })) },
        },
      })
    }
    agent.raw({
      kind: { $case: 'event', value: { id: 'after', at: 1, kind: 'vm-changed', vm: 'web01', text: 'x' } },
    })
    await until('the later message is answered', () => agent.acknowledgedEvents.includes('after'))
    assert.equal(await vmState(), 'running')
    const refusals = fixture.lines.filter(line => /blade01: report refused/.test(line))
    assert.equal(refusals.length, 1)
    assert.match(refusals[0] ?? '', /memoryBytes/)
  })

  it('ignores a report older than the last one', async () => {
    agent.raw({ kind: { $case: 'report', value: report(3) } })
    agent.raw({
      kind: { $case: 'event', value: { id: 'later', at: 1, kind: 'vm-changed', vm: '', text: 'x' } },
    })
    await until('the later message is answered', () => agent.acknowledgedEvents.includes('later'))
    assert.equal(await vmState(), 'running')
  })

  it('takes an event once, however often it is sent, and answers each time', async () => {
    const event = {
      id: 'e1',
      at: 1,
      kind: 'volume-dropped',
      vm: 'web01',
      text: 'dropped /dev/vg0/web01.kept',
    }
    for (const _ of [1, 2]) agent.raw({ kind: { $case: 'event', value: event } })
    await until('both are answered', () => agent.acknowledgedEvents.filter(id => id === 'e1').length === 2)
    const { story } = await ask(fixture, 'why', { name: 'web01' })
    assert.equal(story.filter(line => line.includes('dropped /dev/vg0/web01.kept')).length, 1)
  })

  it('is replaced by a newer one of the same blade', async () => {
    const old = agent.ended.promise
    const first = agent
    const newer = new PlayedAgent(fixture, 'blade01', first.identity)
    await newer.connect()
    assert.equal((await old).code, 0)
    assert.ok(fixture.lines.some(line => /a new session from .* replaces the one from/.test(line)))
    agent = newer
  })

  it('knows the address to reach the agent at from where it calls', async () => {
    assert.equal((await ask(fixture, 'getBlade', { name: 'blade01' })).address, '127.0.0.1:7422')
  })
})
