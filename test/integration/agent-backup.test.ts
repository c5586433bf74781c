import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { createWorkerTransfer } from '../../agent/backup/transfer/worker-transfer.ts'
import { createNetworkVaults } from '../../agent/backup/vaults-network.ts'
import type { AgentSeams } from '../../agent/seams.ts'
import { writeIdentity } from '../../agent/session/identity-file.ts'
import type { SimBlade } from '../../agent/sim/blade.ts'
import {
  createVault,
  makeVaultDirectory,
  type VaultSeams,
  type VaultService,
} from '../../agent/vault/bootstrap.ts'
import { defaultVaultConfig } from '../../agent/vault/config.ts'
import type { BackupSettings, Order, OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Vm } from '../../proto/gen/lifeboat/v1/types.ts'
import { VaultControlClient } from '../../proto/gen/lifeboat/v1/vault.ts'
import { randomIds, systemClock } from '../../shared/clock.ts'
import { HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { silentLogger } from '../../shared/log.ts'
import { createIdentity } from '../../shared/rpc/certificates.ts'
import { channelOptions, createChannelCredentials, unary } from '../../shared/rpc/endpoint.ts'
import { createLeapingClock, type LeapingClock } from '../fakes/leaping-clock.ts'
import { settle as settled } from '../fakes/manual-clock.ts'
import { idleRunner } from '../fakes/vault-dir.ts'
import { type AgentWorld, createAgentWorld, smallVm } from './agent-world.ts'

// Agents over simulated blades, a real vault behind real doors, and the real process that moves the bytes.

const WEB = '11111111-1111-4111-8111-111111111111'
const COPY = '99999999-9999-4999-8999-999999999999'

let clock: LeapingClock
let world: AgentWorld
let blade01: SimBlade
let blade02: SimBlade
let vault: VaultService
let generation = 0

beforeEach(async () => {
  clock = createLeapingClock()
  world = await createAgentWorld(clock)
  vault = await startVault()
  blade01 = await world.blade('blade01')
  blade02 = await world.blade('blade02')
  await blade01.addVm(smallVm(WEB, 'web01'))
})
afterEach(async test => {
  await world.end(test)
  await vault.close()
})

async function startVault(): Promise<VaultService> {
  const identity = await createIdentity(
    world.authority,
    { name: 'depot', role: 'vault' },
    systemClock.now(),
    30,
  )
  const config = {
    ...defaultVaultConfig(),
    dir: join(world.sim.dir, 'vault'),
    stateDir: join(world.sim.dir, 'depot'),
    controlListen: '127.0.0.1:0',
    doorListen: '127.0.0.1:0',
    reservePercent: 0,
  }
  const seams: VaultSeams = { clock: systemClock, ids: randomIds, run: idleRunner, log: silentLogger }
  writeIdentity(config.stateDir, { blade: 'depot', controller: '127.0.0.1:1', identity })
  await makeVaultDirectory(config, seams)
  return await createVault(config, seams)
}

function backupSeams(blade: SimBlade): Partial<AgentSeams> {
  return {
    snapshots: blade.snapshots,
    vaults: createNetworkVaults(clock),
    transfer: createWorkerTransfer({
      run: createCommandRunner(clock),
      clock,
      log: silentLogger,
    }),
  }
}

async function startAgents(): Promise<void> {
  await world.agent(blade01, backupSeams(blade01))
  await world.agent(blade02, backupSeams(blade02))
  await world.controller.until(() => world.controller.reports.size === 2)
  for (const { name } of [blade01, blade02]) settle(name)
}

const address = () => ({ name: 'depot', address: vault.doorAddress })

function settle(blade: string, change: Partial<BackupSettings> = {}): void {
  const value: BackupSettings = {
    vault: address(),
    schedule: '0 2 29 2 *',
    jitterMs: 0,
    mode: 'pause',
    pauseBudgetMs: 5000,
    rateLimitBytes: 0,
    vms: [],
    ...change,
  }
  world.controller.tell(blade, { kind: { $case: 'backupSettings', value } })
}

function give(blade: string, vmId: string, kind: Order['kind']): string {
  generation += 1
  return world.controller.give(blade, {
    orderId: `o${generation}/${kind?.$case}`,
    generation,
    epoch: 1,
    vmId,
    kind,
  })
}

async function backUp(): Promise<OrderStatus> {
  return await world.controller.end(
    give('blade01', WEB, { $case: 'backup', value: { mode: '', force: false } }),
  )
}

/** As the controller does it before it orders a restore. */
async function grant(blade: string, point: string): Promise<void> {
  const identity = await createIdentity(
    world.authority,
    { name: 'controller', role: 'controller' },
    systemClock.now(),
    30,
  )
  const client = new VaultControlClient(
    vault.controlAddress,
    createChannelCredentials(identity),
    channelOptions('depot'),
  )
  const ref = { vmId: WEB, point }
  const request = { point: ref, blade, operation: 'o', expiresAt: systemClock.now() + HOUR_MS }
  await unary(client, 'grant', request, { timeoutMs: 20_000 })
  client.close()
}

/** web01 as it shall be, under another identity. */
function copyOf(name: string): Vm {
  const web = world.controller.reports.get('blade01')?.vms.find(vm => vm.id === WEB)
  assert.ok(web)
  const volumes = web.volumes.map(volume => ({ ...volume, path: `/dev/vg0/${name}` }))
  return { ...web, id: COPY, name, volumes }
}

const contentOf = (blade: SimBlade, name: string): Buffer => readFileSync(blade.hostPath(`/dev/vg0/${name}`))

test('ordered: a backup of a running VM, and its restore to another blade under another name', async () => {
  await startAgents()
  const status = await backUp()
  assert.equal(status.state, 'done', status.error?.message)
  assert.equal(status.result?.consistency, 'paused')
  assert.match(status.result?.point ?? '', /^\d{8}T\d{6}Z$/)
  assert.equal(await blade01.hypervisor.state(WEB), 'running')
  assert.deepEqual(await blade01.snapshots.leftovers(idleRunner), [])

  const { point = '' } = status.result ?? {}
  const value = {
    restoreId: 'r1',
    vault: address(),
    pointVmId: WEB,
    point,
    vm: copyOf('web01-copy'),
    newIdentity: true,
    start: true,
    onlyDisk: '',
  }
  const notYet = await world.controller.end(give('blade02', COPY, { $case: 'restore', value }))
  assert.equal(notYet.state, 'undone', 'another blade sees it only by a grant')
  await grant('blade02', point)
  const restored = await world.controller.end(give('blade02', COPY, { $case: 'restore', value }))
  assert.equal(restored.state, 'done', restored.error?.message)
  assert.ok((restored.result?.transferredBytes ?? 0) > 0)
  assert.equal(await blade02.hypervisor.state(COPY), 'running')
  // All but the sector in which the guest counts.
  assert.ok(contentOf(blade02, 'web01-copy').subarray(512).equals(contentOf(blade01, 'web01').subarray(512)))
  assert.deepEqual(world.sim.chassis.ledger.violations(), [])
})

test('a boot test sees the copy run, tells the time of a recovery, and leaves nothing', async () => {
  await startAgents()
  const { result } = await backUp()
  const vm = copyOf('lifeboat-test-99999999')
  const value = {
    restoreId: 'r1',
    vault: address(),
    pointVmId: WEB,
    point: result?.point ?? '',
    vm,
    bootLimitMs: 60_000,
    sign: 'any',
  }
  const status = await world.controller.end(give('blade01', COPY, { $case: 'bootTest', value }))
  assert.equal(status.state, 'done', status.error?.message)
  assert.ok((status.result?.recoveryMs ?? 0) > 0)
  assert.equal(await blade01.hypervisor.state(COPY), 'absent')
  const [left] = (await blade01.volumes.inspect(['/dev/vg0/lifeboat-test-99999999'])).values()
  assert.ok(left !== undefined && 'error' in left)
})

test('a move does not wait for a backup: it stands aside, and the VM arrives whole', async () => {
  // Slow enough to be caught in the middle.
  await startAgents()
  settle('blade01', { rateLimitBytes: 100_000 })
  const backup = give('blade01', WEB, { $case: 'backup', value: { mode: '', force: false } })
  await world.controller.until(() => world.controller.statuses.some(status => status.step === 'send'))
  const vm = world.controller.reports.get('blade01')?.vms.find(each => each.id === WEB)
  const prepare = { vm, fromBlade: 'blade01', moveId: 'm1' }
  await world.controller.end(give('blade02', WEB, { $case: 'prepareIncoming', value: prepare }))
  const peerAddress = world.controller.hellos.find(hello => hello.blade === 'blade02')?.peerAddress ?? ''
  const send = { moveId: 'm1', toBlade: 'blade02', peerAddress }
  const sent = await world.controller.end(give('blade01', WEB, { $case: 'sendLive', value: send }))
  assert.equal(sent.state, 'done', sent.error?.message)
  assert.equal((await world.controller.end(backup)).error?.code, 'aborted')
  assert.deepEqual(await blade01.snapshots.leftovers(idleRunner), [])
  assert.equal(await blade02.hypervisor.state(WEB), 'running')
})

test('an agent killed in its transfer: the next one removes the snapshot, and the next backup works', async () => {
  await startAgents()
  settle('blade01', { rateLimitBytes: 100_000 })
  const backup = give('blade01', WEB, { $case: 'backup', value: { mode: '', force: false } })
  await world.controller.until(() => world.controller.statuses.some(status => status.step === 'send'))
  assert.equal((await blade01.snapshots.leftovers(idleRunner)).length, 1)
  await world.agent(blade01, backupSeams(blade01))
  assert.equal((await world.controller.end(backup)).state, 'undone')
  assert.deepEqual(await blade01.snapshots.leftovers(idleRunner), [])
  await world.controller.until(() => world.log.some(line => line.includes('connected to the controller')))
  settle('blade01')
  assert.equal((await backUp()).state, 'done')
})

test('by the blade itself, each minute, by the settings it keeps: the controller hears of it by an event', async () => {
  await world.agent(blade01, backupSeams(blade01))
  await world.controller.until(() => world.controller.reports.size === 1)
  settle('blade01', { schedule: '* * * * *' })
  // Ordered once, behind the settings on the same stream: from here on the blade knows them.
  assert.equal((await backUp()).state, 'done')

  const begun = () => world.log.filter(line => line.includes('backup due')).length
  const events = () =>
    (world.controller.events.get('blade01') ?? []).filter(({ kind }) => kind === 'backup-done')
  for (const count of [1, 2]) {
    while (begun() < count) {
      clock.leap(MINUTE_MS)
      await settled()
    }
    await world.controller.until(() => events().length >= count)
  }
  assert.equal(events()[0]?.vm, 'web01')
  assert.match(events()[0]?.text ?? '', /restore point \d{8}T\d{6}Z \(paused\): the VM stood/)
  assert.ok(
    world.controller.statuses.every(status => !status.orderId.startsWith('b-')),
    'no order is spoken of',
  )
})
