import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, before, beforeEach, test } from 'node:test'
import { writeIdentity } from '../../agent/session/identity-file.ts'
import {
  createVault,
  makeVaultDirectory,
  type VaultSeams,
  type VaultService,
} from '../../agent/vault/bootstrap.ts'
import { createVaultClient } from '../../agent/vault/client/vault-client.ts'
import { defaultVaultConfig, type VaultConfig } from '../../agent/vault/config.ts'
import { parseManifest } from '../../agent/vault/format/manifest.ts'
import type { Vault } from '../../agent/vault/vault.ts'
import { VaultControlClient } from '../../proto/gen/lifeboat/v1/vault.ts'
import { randomIds, systemClock } from '../../shared/clock.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { silentLogger } from '../../shared/log.ts'
import {
  type Authority,
  createAuthority,
  createIdentity,
  type Identity,
  type Role,
} from '../../shared/rpc/certificates.ts'
import {
  channelOptions,
  createChannelCredentials,
  type RequestOf,
  type UnaryNames,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { until } from '../fakes/until.ts'
import { backUp, beginBackup, draftOf, idleRunner, makeChunk, spoilChunk } from '../fakes/vault-dir.ts'

const seams: VaultSeams = { clock: systemClock, ids: randomIds, run: idleRunner, log: silentLogger }
const identities = new Map<string, Identity>()
let authority: Authority
let root: string
let config: VaultConfig
let service: VaultService
let closing: (() => Promise<void> | void)[]

before(async () => {
  authority = await createAuthority(systemClock.now())
  const members: readonly (readonly [string, Role])[] = [
    ['depot', 'vault'],
    ['controller', 'controller'],
    ['anna', 'admin'],
    ['blade01', 'blade'],
    ['blade02', 'blade'],
  ]
  for (const [name, role] of members) {
    identities.set(name, await createIdentity(authority, { name, role }, systemClock.now(), 30))
  }
})

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'lbvs-'))
  closing = []
  config = {
    ...defaultVaultConfig(),
    dir: join(root, 'vault'),
    stateDir: join(root, 'service'),
    controlListen: '127.0.0.1:0',
    doorListen: '127.0.0.1:0',
    reservePercent: 0,
  }
  writeIdentity(config.stateDir, { blade: 'depot', controller: '127.0.0.1:1', identity: identityOf('depot') })
  await makeVaultDirectory(config, seams)
  service = await createVault(config, seams)
})
afterEach(async () => {
  for (const close of closing) await close()
  await service.close()
  rmSync(root, { recursive: true, force: true })
})

function identityOf(name: string): Identity {
  const identity = identities.get(name)
  assert.ok(identity, name)
  return identity
}

/** Asks at the control door with that certificate. */
async function ask<M extends UnaryNames<VaultControlClient>>(
  who: string,
  method: M,
  request: RequestOf<VaultControlClient[M]>,
) {
  const client = new VaultControlClient(
    service.controlAddress,
    createChannelCredentials(identityOf(who)),
    channelOptions('depot'),
  )
  try {
    return await unary(client, method, request, { timeoutMs: 20_000 })
  } finally {
    client.close()
  }
}

function vaultOf(blade: string): Vault {
  const vault = createVaultClient({
    name: 'depot',
    address: service.doorAddress,
    identity: () => identityOf(blade),
    clock: systemClock,
  })
  closing.push(() => vault.close())
  return vault
}

const now = systemClock.now()
const WEB: Parameters<typeof backUp>[1] = { vm: 1, at: now, nowAt: now, seeds: [1, 2, 3] }
const REF = { vmId: draftOf(WEB).vm.id, point: draftOf(WEB).point }

test('the control door is for the controller and administrators; a blade and a stranger are refused', async () => {
  const status = await ask('controller', 'getVaultStatus', {})
  assert.deepEqual(
    [status.name, status.points, status.accepts, status.sessions, status.maxSessions],
    ['depot', 0, true, 0, 4],
  )
  assert.equal(`127.0.0.1:${status.agentsPort}`, service.doorAddress)
  assert.equal((await ask('anna', 'listPoints', { vmId: '' })).points.length, 0)
  await assert.rejects(ask('blade01', 'getVaultStatus', {}), { code: 'not-allowed' })
  await assert.rejects(ask('blade01', 'prune', { dryRun: false, vmId: '' }), { code: 'not-allowed' })
  await assert.rejects(ask('depot', 'collect', { dryRun: false }), { code: 'not-allowed' })
})

test('what a blade backed up is listed with its figures; the manifest goes out as it lies there', async () => {
  await backUp(vaultOf('blade01'), WEB)
  const [point] = (await ask('controller', 'listPoints', { vmId: '' })).points
  assert.deepEqual(
    [point?.vm, point?.blade, point?.consistency, point?.pauseMs, point?.state, point?.sizeBytes],
    ['vm1', 'blade01', 'paused', 12, 'whole', 3 * 4096],
  )
  assert.deepEqual([point?.checkedAt, point?.bootedAt, point?.disks[0]?.target], [0, 0, 'vda'])
  const detail = await ask('controller', 'getPoint', REF)
  assert.equal(parseManifest(detail.manifestJson).blade, 'blade01')
  await assert.rejects(ask('controller', 'getPoint', { ...REF, point: '20200101T000000Z' }), {
    code: 'not-found',
  })
})

test('another blade does not see it until the controller grants it, and only that one', async () => {
  await backUp(vaultOf('blade01'), WEB)
  const later = { ...WEB, at: now + 60_000 }
  await backUp(vaultOf('blade01'), later)
  const other = vaultOf('blade02')
  await assert.rejects(other.manifest(REF), { code: 'not-found' })
  assert.deepEqual(await other.points(), [])
  const grant = { point: REF, blade: 'blade02', operation: 'o7', expiresAt: systemClock.now() + HOUR_MS }
  await assert.rejects(ask('blade02', 'grant', grant), { code: 'not-allowed' })
  await assert.rejects(ask('controller', 'grant', { ...grant, point: { ...REF, vmId: 'x' } }), {
    code: 'not-found',
  })
  await ask('controller', 'grant', grant)
  assert.equal((await other.manifest(REF)).vm.name, 'vm1')
  assert.deepEqual(
    (await other.points()).map(({ point }) => point),
    [REF.point],
  )
  await assert.rejects(other.manifest({ ...REF, point: draftOf(later).point }), { code: 'not-found' })

  // The restore it was given for outlives a restart of the vault.
  await service.close()
  service = await createVault(config, seams)
  // Nor is it pruned meanwhile, though nobody has read of it in this life of the vault.
  const keepOne = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }
  await ask('controller', 'setRetention', { defaultPolicy: keepOne, byVmId: {} })
  const { verdicts } = await ask('controller', 'prune', { dryRun: false, vmId: '' })
  assert.match(verdicts.at(-1)?.reasons.join() ?? '', /^granted to blade02 until /)
  assert.equal((await vaultOf('blade02').manifest(REF)).vm.name, 'vm1')
})

test('a check finds a flipped byte and names the damaged restore point; a good one is noted as checked', async () => {
  await backUp(vaultOf('blade01'), WEB)
  assert.ok((await ask('controller', 'checkPoint', REF)).checkedAt > 0)
  spoilChunk(config.dir, makeChunk(2).id)
  const found = await ask('controller', 'checkPoint', REF)
  assert.deepEqual([found.state, found.checkedAt], ['damaged', 0])
  const { problems } = await ask('controller', 'getVaultStatus', {})
  assert.deepEqual(
    problems.flatMap(({ code, chunk, points }) => (code === 'chunk-corrupt' ? [[chunk, points]] : [])),
    [[makeChunk(2).id, [REF]]],
  )
})

test('retention is kept, pruning gives its reasons, and collection removes what nothing names', async () => {
  const vault = vaultOf('blade01')
  await backUp(vault, { ...WEB, at: now - 60_000, seeds: [7, 8] })
  await backUp(vault, WEB)
  const keepOne = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }
  await assert.rejects(
    ask('controller', 'setRetention', { defaultPolicy: { ...keepOne, keepDaily: -1 }, byVmId: {} }),
    { code: 'bad-input' },
  )
  await ask('controller', 'setRetention', { defaultPolicy: keepOne, byVmId: {} })
  const dry = await ask('controller', 'prune', { dryRun: true, vmId: '' })
  assert.deepEqual(
    dry.verdicts.map(({ keep, reasons }) => [keep, reasons.length > 0]),
    [
      [true, true],
      [false, true],
    ],
  )
  assert.equal((await ask('controller', 'listPoints', { vmId: '' })).points.length, 2)
  await ask('controller', 'prune', { dryRun: false, vmId: '' })
  const gone = await ask('controller', 'collect', { dryRun: false })
  assert.deepEqual([gone.chunks, gone.keptChunks, gone.refused], [2, 3, ''])
  assert.equal((await ask('controller', 'checkPoint', REF)).state, 'whole')
})

test('a scrub runs in the vault by itself; a boot test is remembered with its recovery time', async () => {
  await backUp(vaultOf('blade01'), { ...WEB, at: now - HOUR_MS })
  await until('the round that a new vault begins with has ended', async () => {
    return (await ask('controller', 'getVaultStatus', {})).scrubEndedAt > 0
  })
  const begun = await ask('controller', 'scrub', { stop: false })
  assert.ok(begun.scrubStartedAt > 0)
  await until('all was hashed', async () => {
    return (await ask('controller', 'getVaultStatus', {})).scrubEndedAt >= begun.scrubStartedAt
  })
  const point = { ...REF, point: draftOf({ ...WEB, at: now - HOUR_MS }).point }
  const booted = await ask('controller', 'recordBoot', {
    point,
    at: now,
    ok: true,
    recoveryMs: 4100,
    error: '',
  })
  assert.deepEqual([booted.bootedAt, booted.recoveryMs, booted.bootError], [now, 4100, ''])
  const failed = await ask('controller', 'recordBoot', {
    point,
    at: now,
    ok: false,
    recoveryMs: 0,
    error: 'dark',
  })
  assert.deepEqual([failed.bootedAt, failed.bootError], [0, 'dark'])
})

test('a backup that comes in when the vault ends is not listed, and the next start has room for it', async () => {
  const session = await beginBackup(vaultOf('blade01'), WEB)
  await session.put([makeChunk(1)])
  assert.equal((await ask('controller', 'getVaultStatus', {})).sessions, 1)
  await service.close()
  service = await createVault(config, seams)
  assert.deepEqual((await ask('controller', 'listPoints', { vmId: '' })).points, [])
  assert.equal((await ask('controller', 'getVaultStatus', {})).sessions, 0)
})

test('a vault that has not joined, or whose disk is not there, does not start and makes nothing', async () => {
  const nowhere = { ...config, dir: join(root, 'not-mounted') }
  await assert.rejects(createVault(nowhere, seams), { code: 'not-found', message: /no vault/ })
  await assert.rejects(createVault(nowhere, seams), { code: 'not-found' }, 'the first try made none')
  await assert.rejects(createVault({ ...config, stateDir: join(root, 'x') }, seams), {
    code: 'not-found',
    message: /lifeboat vault add/,
  })
  await assert.rejects(createVault(config, seams), { code: 'busy' }, 'one writer at a time')
})

test('a port in use ends the start, and leaves the vault free for the next', async () => {
  await service.close()
  const blocked = await createVault(config, seams)
  const second = { ...config, dir: join(root, 'second'), controlListen: blocked.controlAddress }
  await makeVaultDirectory(second, seams)
  await assert.rejects(createVault(second, seams), { code: 'unavailable', message: /in use/ })
  service = await createVault({ ...second, controlListen: '127.0.0.1:0' }, seams)
  await blocked.close()
})
