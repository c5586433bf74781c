import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { IntakeClient, type Order, OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { createRequest, describeCertificate } from '../../shared/rpc/certificates.ts'
import { channelOptions, createChannelCredentials, unary } from '../../shared/rpc/endpoint.ts'
import { soundCapacity, vm } from '../fakes/agent-reports.ts'
import { until } from '../fakes/until.ts'
import {
  ask,
  type ControllerFixture,
  connectFleet,
  PlayedAgent,
  startController,
} from './controller-fixture.ts'
import { addVault, type PlayedVault } from './played-vault.ts'

const WEB = vm('web01', 1)
const POINT = '20261128T020512Z'
const OLDER = '20261127T020512Z'

describe('a fleet with a vault', () => {
  let fixture: ControllerFixture
  let vault: PlayedVault
  let first: PlayedAgent
  let second: PlayedAgent

  beforeEach(async () => {
    fixture = await startController()
    const agents = await connectFleet(fixture, ['blade01', 'blade02'], { blade01: [WEB] })
    const [one, two] = agents
    assert.ok(one && two)
    first = one
    second = two
    for (const agent of agents) {
      agent.report({ capacity: { ...soundCapacity(), networks: ['bridge:br0', 'br0'] } })
    }
    vault = await addVault(fixture, 'depot')
  })
  afterEach(async () => {
    first.disconnect()
    second.disconnect()
    await vault.stop()
    await fixture.close()
  })

  const ended = (id: string) =>
    until('the operation has ended', async () => {
      const now = await ask(fixture, 'getOperation', { id })
      return now.endedAt > 0 && now
    })
  const known = (point: string) =>
    until(`${point} is known`, async () => {
      const { points } = await ask(fixture, 'listBackups', { vm: '' })
      return points.find(each => each.point === point)
    })
  /** The vault has restore points, and the controller has looked. */
  const keeps = async (...points: Parameters<PlayedVault['add']>[]) => {
    for (const point of points) vault.add(...point)
    await ask(fixture, 'scrubVault', { name: '', stop: false })
    for (const [, point] of points) await known(point)
  }
  const restore = (change: Partial<Parameters<typeof ask<'restoreBackup'>>[2]> = {}) =>
    ask(fixture, 'restoreBackup', {
      backup: { vm: 'web01', point: '' },
      to: '',
      newName: 'web02',
      onlyDisk: '',
      start: true,
      overrideRules: false,
      ...change,
    })
  const alertOf = (code: string) =>
    until(`there is an alert ${code}`, async () => {
      const { alerts } = await ask(fixture, 'listAlerts', { all: false })
      return alerts.find(alert => alert.code === code)
    })
  /** What the agent that restored it reports then. */
  const arrive = (agent: PlayedAgent, order: Order) => {
    const told = order.kind?.$case === 'restore' ? order.kind.value.vm : undefined
    assert.ok(told)
    agent.vms = [...agent.vms, vm(told.name, 2, { id: told.id, epoch: order.epoch })]
    agent.report({ capacity: { ...soundCapacity(), networks: ['bridge:br0', 'br0'] } })
  }

  it('the vault is seen, told what to keep, and every agent where it is', async () => {
    const view = await until('the vault is seen', async () => {
      const { vaults } = await ask(fixture, 'listVaults', {})
      return vault.retention.length > 0 && vaults.find(each => each.reachable)
    })
    assert.deepEqual([view.name, view.enrolment, view.status?.version], ['depot', 'joined', '0.1.0'])
    assert.deepEqual(vault.retention.at(-1)?.defaultPolicy, {
      keepLast: 3,
      keepDaily: 7,
      keepWeekly: 4,
      keepMonthly: 6,
    })
    for (const agent of [first, second]) {
      const settings = await until('the agent is told', () =>
        agent.settings.findLast(each => each.vault?.address.endsWith(':7499')),
      )
      assert.deepEqual(
        [settings.vault?.name, settings.mode, settings.schedule],
        ['depot', 'freeze', '0 2 * * *'],
      )
    }
  })

  it('a vault renews its certificate and does nothing else with the controller; one that was removed not even that', async () => {
    const client = new IntakeClient(
      fixture.controller.grpcAddress,
      createChannelCredentials(vault.identity),
      channelOptions('controller'),
    )
    const renew = async () => {
      const { requestPem } = await createRequest('depot')
      const request = { certificateRequestPem: requestPem }
      return await unary(client, 'renewCertificate', request, { timeoutMs: 5000 })
    }
    try {
      const { certificatePem } = await renew()
      const { name, role } = describeCertificate(certificatePem)
      assert.deepEqual([name, role], ['depot', 'vault'])
      const asAgent = new PlayedAgent(fixture, 'blade01', vault.identity)
      await asAgent.connect()
      assert.match((await asAgent.ended.promise).details, /role vault may not call/)
      asAgent.disconnect()
      await ask(fixture, 'removeVault', { name: 'depot' })
      await assert.rejects(renew(), { code: 'not-allowed' })
    } finally {
      client.close()
    }
  })

  it('names stand in certificates: no two members of the fleet have the same', async () => {
    const blade = { name: 'depot', chassis: '', slot: 1, feeds: [], switches: [], tokenTtlMinutes: 0 }
    await assert.rejects(ask(fixture, 'addBlade', blade), /depot is the name of a vault/)
    const taken = { name: 'blade01', address: 'depot', tokenTtlMinutes: 0, replace: false }
    await assert.rejects(ask(fixture, 'addVault', taken), /blade01 is the name of a blade/)
    await assert.rejects(
      ask(fixture, 'addVault', { ...taken, name: 'controller' }),
      /the name of the controller/,
    )
  })

  it('a vault that has joined is moved only when that is said; what is no name or address is refused', async () => {
    const [joined] = (await ask(fixture, 'listVaults', {})).vaults
    assert.ok(joined)
    const request = { name: 'depot', address: '192.0.2.9', tokenTtlMinutes: 0, replace: false }
    await assert.rejects(ask(fixture, 'addVault', request), {
      code: 'already-exists',
      message: `depot has joined already, at ${joined.address}: to move it there type \`lifeboat vault add depot --address 192.0.2.9:7423 --replace\``,
    })
    const address = async () => (await ask(fixture, 'listVaults', {})).vaults.map(each => each.address)
    assert.ok((await ask(fixture, 'addVault', { ...request, address: joined.address })).token, 'another host')
    assert.deepEqual(await address(), [joined.address])
    await ask(fixture, 'addVault', { ...request, address: '127.0.0.1:1', replace: true })
    assert.deepEqual(await address(), ['127.0.0.1:1'])
    await assert.rejects(ask(fixture, 'addVault', { ...request, name: 'x y' }), /'x y' is not a vault name/)
    const nowhere = { ...request, name: 'd3', address: 'not an addr!' }
    await assert.rejects(ask(fixture, 'addVault', nowhere), /'not an addr!' is not an address/)
  })

  it('a vault that was announced and never joined is not meant by a command that names none', async () => {
    const announced = { name: 'd3', address: '192.0.2.9', tokenTtlMinutes: 0, replace: false }
    await ask(fixture, 'addVault', announced)
    await ask(fixture, 'addVault', { ...announced, address: '192.0.2.10' })
    assert.equal((await ask(fixture, 'scrubVault', { name: '', stop: true })).name, 'depot')
    assert.equal((await ask(fixture, 'collectVault', { name: '', dryRun: true })).chunks, 3)
    assert.deepEqual((await ask(fixture, 'pruneBackups', { dryRun: true, vm: '', vault: '' })).verdicts, [])
    const there = { dryRun: true, vm: '', vault: 'd3' }
    await assert.rejects(ask(fixture, 'pruneBackups', there), /the vault d3 has not joined yet/)
  })

  it('a tag turns the backups of one VM off: its agent is told, and the policy says why', async () => {
    const tagged = await ask(fixture, 'setVmTags', { name: 'web01', set: ['backup=off'], remove: [] })
    assert.deepEqual(tagged.tags, ['backup=off'])
    await until('the agent of its blade is told', () =>
      first.settings.at(-1)?.vms.some(each => each.vmId === WEB.id && each.mode === 'off'),
    )
    assert.deepEqual(second.settings.at(-1)?.vms, [], 'the other blade has nothing to do with it')
    const policy = await ask(fixture, 'explainBackupPolicy', { name: 'web01' })
    assert.match(policy.explanation.join('\n'), /mode off, by the tag backup=off/)
    await assert.rejects(
      ask(fixture, 'runBackups', { vms: [], blade: '', all: true, force: false }),
      /there is no VM to back up: the backups of 1 VM are off/,
    )
    await assert.rejects(
      ask(fixture, 'runBackups', { vms: [], blade: 'blade02', all: false, force: false }),
      /there is no VM on blade02/,
    )
    await assert.rejects(
      ask(fixture, 'setVmTags', { name: 'web01', set: ['backups=off'], remove: [] }),
      /'backups' is no tag/,
    )
  })

  it('a backup is made, listed, and keeps no move from the VM', async () => {
    const given = Promise.withResolvers<Order>()
    first.answer = order => {
      if (order.kind?.$case === 'backup') given.resolve(order)
      return { state: 'running', step: 'send', doneBytes: 1, totalBytes: 4 }
    }
    const { operations } = await ask(fixture, 'runBackups', {
      vms: ['web01'],
      blade: '',
      all: false,
      force: false,
    })
    const id = operations[0]?.id ?? ''
    const order = await given.promise
    assert.equal((await ask(fixture, 'getVm', { name: 'web01' })).operation, '', 'the VM is not busy')
    const plan = await ask(fixture, 'migrateVm', {
      name: 'web01',
      to: 'blade02',
      overrideRules: false,
      planOnly: true,
    })
    assert.equal(plan.state, 'planned')
    vault.add(WEB, POINT)
    first.finish(order, {
      state: 'done',
      result: {
        ...OrderStatus.fromPartial({ result: {} }).result,
        point: POINT,
        pauseMs: 180,
        consistency: 'paused',
      } as OrderStatus['result'],
    })
    const done = await ended(id)
    assert.equal(done.state, 'done', done.outcome)
    assert.equal(done.outcome, `web01 is backed up as ${POINT} (paused, stood still for 180 ms)`)
    assert.deepEqual([done.point, done.pauseMs], [POINT, 180])
    await known(POINT)
    const shown = await ask(fixture, 'getVm', { name: 'web01' })
    assert.deepEqual([shown.backup?.newest, shown.backup?.overdue], [POINT, false])
    const { backup } = await ask(fixture, 'getStatus', {})
    assert.match(backup?.text ?? '', /1 VM to back up, none overdue/)
  })

  it('a point restored under a new name: room, right and order, and a VM of its own', async () => {
    await keeps([WEB, OLDER, { at: Date.now() - HOUR_MS }], [WEB, POINT])
    second.answer = order => {
      arrive(second, order)
      return { state: 'done' }
    }
    const operation = await restore({ to: 'blade02' })
    const done = await ended(operation.id)
    assert.equal(done.state, 'done', done.outcome)
    assert.deepEqual(
      vault.grants.map(grant => [grant.blade, grant.point?.point, grant.operation]),
      [['blade02', POINT, operation.id]],
      'the newest one, and nobody else may read it',
    )
    const order = second.orders.find(each => each.kind?.$case === 'restore')
    assert.ok(order?.kind?.$case === 'restore')
    const told = order.kind.value
    assert.equal(told.vault?.address.endsWith(':7499'), true)
    assert.deepEqual([told.vm?.name, told.newIdentity, told.start], ['web02', true, true])
    assert.notEqual(told.vm?.id, WEB.id)
    assert.deepEqual(
      told.vm?.volumes.map(volume => `${volume.target} ${volume.path}`),
      ['vda /dev/vg0/web02'],
    )
    const restored = await ask(fixture, 'getVm', { name: 'web02' })
    assert.deepEqual([restored.blade, restored.state, restored.epoch], ['blade02', 'running', 1])
  })

  it('under its own name only when no blade knows the VM; a damaged point not at all', async () => {
    await keeps([WEB, POINT])
    await assert.rejects(restore({ newName: '' }), /web01 is on blade01 \(running\)/)
    await assert.rejects(restore({ newName: 'web01' }), /web01 is on blade01 \(running\)/)
    first.vms = []
    first.report()
    await until('nobody has it', async () => (await ask(fixture, 'listVms', { blade: '' })).vms.length === 0)
    vault.add(WEB, POINT, { state: 'damaged', stateText: 'a chunk is missing' })
    await assert.rejects(
      restore({ newName: '', backup: { vm: 'web01', point: POINT } }),
      /is damaged: a chunk is missing/,
    )
    assert.deepEqual([...first.orders, ...second.orders], [], 'nothing was touched')
    await keeps([WEB, POINT])
    await until('it is whole again', async () => {
      const { points } = await ask(fixture, 'listBackups', { vm: '' })
      return points.some(each => each.point === POINT && each.state === 'whole')
    })
    for (const agent of [first, second]) {
      agent.report({ capacity: { ...soundCapacity(), networks: ['bridge:br0'] } })
      agent.answer = order => {
        arrive(agent, order)
        return { state: 'done' }
      }
    }
    const done = await ended((await restore({ newName: '' })).id)
    assert.equal(done.state, 'done', done.outcome)
    const back = await ask(fixture, 'getVm', { name: 'web01' })
    assert.deepEqual([back.id, back.epoch], [WEB.id, 1], 'the same VM, under a new epoch (rule 1)')
  })

  it('the controller stops in the middle of a restore: the next run goes on with it', async () => {
    await keeps([WEB, POINT])
    const given = Promise.withResolvers<Order>()
    second.answer = order => {
      given.resolve(order)
      return { state: 'running', step: 'write', doneBytes: 1, totalBytes: 4 }
    }
    const { id } = await restore({ to: 'blade02' })
    const order = await given.promise
    await fixture.restart()
    assert.deepEqual(second.aborted, [])
    second.answer = () => undefined
    const running = OrderStatus.fromPartial({
      orderId: order.orderId,
      generation: order.generation,
      state: 'running',
    })
    await first.connect()
    await second.connect({ orders: [running] })
    first.report()
    await until('the order is given again under its old id', () =>
      second.orders.filter(each => each.orderId === order.orderId).length === 2 ? true : undefined,
    )
    arrive(second, order)
    second.finish(order, { state: 'done' })
    const done = await ended(id)
    assert.equal(done.state, 'done', done.outcome)
    assert.equal((await ask(fixture, 'getVm', { name: 'web02' })).blade, 'blade02')
  })

  it('a restore fails at the target: nothing is left, and the room is free again', async () => {
    await keeps([WEB, POINT])
    second.answer = () => ({ state: 'undone', error: { code: 'refused', message: 'chunk 00ff is damaged' } })
    const done = await ended((await restore({ to: 'blade02' })).id)
    assert.equal(done.state, 'undone')
    assert.match(
      done.outcome,
      /web02 was not restored, nothing of it is left on blade02: .*chunk 00ff is damaged/,
    )
  })

  it('one disk comes back as a volume beside the VM, and no VM with it', async () => {
    await keeps([WEB, POINT])
    first.answer = () => ({ state: 'done' })
    const done = await ended(
      (await restore({ to: 'blade01', newName: '', start: false, onlyDisk: 'vda' })).id,
    )
    assert.equal(done.state, 'done', done.outcome)
    const order = first.orders.find(each => each.kind?.$case === 'restore')
    assert.ok(order?.kind?.$case === 'restore')
    assert.equal(order.kind.value.onlyDisk, 'vda')
    assert.equal(order.kind.value.vm?.volumes[0]?.path, `/dev/vg0/web01-vda-${POINT}`)
    assert.notEqual(order.vmId, WEB.id, 'no order to the VM itself')
  })

  it('a boot test: no network, its time is kept and the vault told', async () => {
    await keeps([WEB, POINT])
    second.answer = () => ({
      state: 'done',
      result: {
        ...OrderStatus.fromPartial({ result: {} }).result,
        recoveryMs: 42_000,
      } as OrderStatus['result'],
    })
    const test = await ask(fixture, 'testBackup', { backup: { vm: 'web01', point: '' }, to: 'blade02' })
    const done = await ended(test.id)
    assert.equal(done.state, 'done', done.outcome)
    assert.equal(done.recoveryMs, 42_000)
    const order = second.orders.find(each => each.kind?.$case === 'bootTest')
    assert.ok(order?.kind?.$case === 'bootTest')
    assert.match(order.kind.value.vm?.name ?? '', /^lifeboat-test-[0-9a-f]{8}$/)
    assert.deepEqual(order.kind.value.vm?.networks, [])
    await until('the vault is told', () =>
      vault.booted.some(record => record.ok && record.recoveryMs === 42_000),
    )
    const shown = await ask(fixture, 'getVm', { name: 'web01' })
    assert.equal(shown.backup?.recoveryMs, 42_000)
  })

  it('a restored VM shows no sign of life: a case, an alert, and the vault told', async () => {
    await keeps([WEB, POINT])
    second.answer = order => {
      second.finish(order, { state: 'running', step: 'boot' })
      return { state: 'undone', error: { code: 'timeout', message: 'no sign of life within 5 min' } }
    }
    const test = await ask(fixture, 'testBackup', { backup: { vm: 'web01', point: '' }, to: 'blade02' })
    assert.equal((await ended(test.id)).state, 'undone')
    const alert = await alertOf('boot-test-failed')
    assert.match(
      alert.text,
      /restore point 20261128T020512Z of web01 was not seen to boot: .*no sign of life/,
    )
    await until('the vault is told', () => vault.booted.some(record => !record.ok))
  })

  it('a backup that is too old is an alert that names the next command', async () => {
    await keeps([WEB, OLDER, { at: Date.now() - 60 * HOUR_MS }])
    const alert = await alertOf('backup-overdue')
    assert.equal(alert.subject, 'web01')
    assert.match(alert.text, /the newest restore point of web01 is 20261127T020512Z/)
    assert.equal(alert.nextCommand, 'lifeboat backup plan web01')
    const { backups } = await ask(fixture, 'planBackups', { vm: '' })
    assert.equal(backups[0]?.standing?.overdue, true)
    assert.ok((backups[0]?.nextAt ?? 0) > Date.now())
  })

  it('backups of an agent’s own schedule that fail twice in a row are an alert', async () => {
    for (const [id, text] of [
      ['e1', 'the vault is full'],
      ['e2', 'the vault is full'],
    ] as const) {
      const event = { id, at: Date.now() + Number(id.slice(1)), kind: 'backup-failed', vm: 'web01', text }
      first.raw({ kind: { $case: 'event', value: event } })
    }
    const alert = await alertOf('backup-failed')
    assert.match(alert.text, /fails again and again: the vault is full/)
    const why = /^never backed up; the newest try failed .* ago: the vault is full$/
    const [planned] = (await ask(fixture, 'planBackups', { vm: 'web01' })).backups
    assert.match(planned?.text ?? '', why, 'what the alert says to type')
    assert.match((await ask(fixture, 'getVm', { name: 'web01' })).backup?.text ?? '', why)
  })

  it('corrupt data is told with the chunk and the restore points it touches', async () => {
    await keeps([WEB, POINT])
    vault.status = {
      problems: [
        {
          code: 'chunk-corrupt',
          text: '',
          chunk: 'ab12',
          points: [{ vmId: WEB.id, point: POINT }],
          since: 1_700_000_000_000,
        },
      ],
    }
    await ask(fixture, 'scrubVault', { name: 'depot', stop: false })
    const alert = await alertOf('chunk-corrupt')
    assert.match(
      alert.text,
      /vault depot: 1 chunk corrupt \(ab12\), in 1 restore point: web01 20261128T020512Z/,
    )
  })

  it('the vault goes away: what it said stays, what needs it is refused, and the policies reach it when it is back', async () => {
    await keeps([WEB, POINT])
    const { vaults } = await ask(fixture, 'listVaults', {})
    const port = Number(vaults[0]?.address.split(':')[1])
    await vault.stop()
    await assert.rejects(restore(), { code: 'unavailable' })
    assert.equal((await ask(fixture, 'listBackups', { vm: 'web01' })).points.length, 1)
    const detail = await ask(fixture, 'getBackup', { vm: 'web01', point: POINT })
    assert.deepEqual([detail.summary?.point, detail.manifestJson], [POINT, ''])
    // Who asks how it is hears of it at once, not with the next look.
    assert.equal((await ask(fixture, 'listVaults', {})).vaults[0]?.reachable, false)
    // A blade that ended a backup makes the controller look.
    first.raw({
      kind: { $case: 'event', value: { id: 'e9', at: 1, kind: 'backup-done', vm: 'web01', text: '' } },
    })
    const away = await until('it is seen to be away', async () => {
      const now = (await ask(fixture, 'listVaults', {})).vaults[0]
      return now?.reachable === false && now
    })
    assert.match(
      away.error,
      /^the vault depot does not answer at \S+: connection refused; is lifeboat-vault running there\? systemctl status lifeboat-vault$/,
    )
    assert.ok(away.seenAt > 0)
    const told = vault.retention.length
    await vault.listen(port)
    await until('it answers again', () =>
      ask(fixture, 'scrubVault', { name: 'depot', stop: true }).then(
        view => view.reachable,
        () => false,
      ),
    )
    await until('it is told anew', () => vault.retention.length > told)
  })

  it('a blade is away: its VMs are not asked for, and an order under way waits for it', async () => {
    const given = Promise.withResolvers<Order>()
    first.answer = order => {
      given.resolve(order)
      return { state: 'running', step: 'send' }
    }
    const { operations } = await ask(fixture, 'runBackups', {
      vms: [],
      blade: 'blade01',
      all: false,
      force: false,
    })
    const order = await given.promise
    first.disconnect()
    await until('it is gone', () => fixture.lines.some(line => /blade blade01: disconnected/.test(line)))
    const undone = OrderStatus.fromPartial({
      orderId: order.orderId,
      generation: order.generation,
      state: 'undone',
      error: { code: 'aborted', message: 'the VM moves' },
    })
    await first.connect({ orders: [undone] })
    const last = await ended(operations[0]?.id ?? '')
    assert.equal(last.state, 'undone')
    assert.match(last.outcome, /web01 was not backed up: .*the VM moves/)
  })

  it('prune, collect and check go to the vault, and a vault that is removed is let go of', async () => {
    await keeps([WEB, POINT])
    const { verdicts } = await ask(fixture, 'pruneBackups', { dryRun: true, vm: 'web01', vault: '' })
    assert.deepEqual(
      verdicts.map(verdict => verdict.point),
      [POINT],
    )
    assert.equal((await ask(fixture, 'collectVault', { name: '', dryRun: true })).chunks, 3)
    const checked = await ask(fixture, 'checkBackup', { vm: 'web01', point: '' })
    assert.ok(checked.checkedAt > 0)
    assert.ok(((await ask(fixture, 'getVm', { name: 'web01' })).backup?.newestVerifiedAt ?? 0) > 0)
    await ask(fixture, 'removeVault', { name: 'depot' })
    assert.deepEqual((await ask(fixture, 'listBackups', { vm: '' })).points, [])
    await until('the agents are told', () => first.settings.at(-1)?.vault === undefined)
  })
})
