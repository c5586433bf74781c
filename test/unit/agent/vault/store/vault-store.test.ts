import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { createIndexBuilder } from '../../../../../agent/vault/format/index.ts'
import type { Space } from '../../../../../agent/vault/store/space.ts'
import type { VaultStore } from '../../../../../agent/vault/store/vault-store.ts'
import { errorCode, LifeboatError } from '../../../../../shared/errors.ts'
import { until } from '../../../../fakes/until.ts'
import {
  backUp,
  beginBackup,
  CHUNK_BYTES,
  draftOf,
  FIRST_NIGHT,
  idleRunner,
  makeChunk,
  makeVaultDir,
  sendChunks,
  VAULT_NOW,
  type VaultDir,
  vmId,
} from '../../../../fakes/vault-dir.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const GIB = 2 ** 30
const never = new AbortController().signal
const KEEP_ONE = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }

let place: VaultDir
const stores: VaultStore[] = []
beforeEach(() => {
  place = makeVaultDir()
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  place.remove()
})

function open(options: Parameters<VaultDir['open']>[0] = {}): VaultStore {
  const store = place.open(options)
  stores.push(store)
  return store
}

const has = (code: string) => (error: unknown) => errorCode(error) === code

test('the directory of a vault explains itself, and the definition lies beside the manifest', async () => {
  const store = open()
  await backUp(store, { seeds: [1] })
  const recipe = readFileSync(join(place.dir, 'README.txt'), 'utf8')
  for (const words of [
    'casync extract --store=../../../store',
    'virsh define domain.xml',
    'lifeboat-vault restore',
  ]) {
    assert.ok(recipe.includes(words), words)
  }
  assert.ok(Math.max(...recipe.split('\n').map(line => line.length)) <= 120)
  const folder = join(place.dir, 'points', vmId(1), '20261128T020512Z')
  assert.deepEqual(readdirSync(folder).sort(), ['domain.xml', 'manifest.json', 'vda.caibx', 'vda.sums'])
  assert.match(readFileSync(join(folder, 'domain.xml'), 'utf8'), /<name>vm1<\/name>/)
})

test('a directory with anything else in it does not become a vault; a missing vault is not found', () => {
  assert.throws(() => open({ access: 'read' }), has('not-found'))
  assert.throws(() => open({ access: 'write' }), has('not-found'))
  mkdirSync(place.dir)
  writeFileSync(join(place.dir, 'letter.txt'), '')
  assert.throws(() => open(), /no vault and not empty \('letter.txt'\)/)
})

test('a vault of a newer Lifeboat is left alone', async () => {
  await open().close()
  writeFileSync(join(place.dir, 'state/vault.json'), '{"format":"lifeboat-vault","version":2}')
  assert.throws(() => open({ access: 'write' }), has('version-mismatch'))
  assert.throws(() => open({ access: 'read' }), has('version-mismatch'))
})

test('there is one writer at a time; a reader comes beside it and may change nothing', async () => {
  const writer = open()
  await backUp(writer, { seeds: [1] })
  assert.throws(() => open({ access: 'write' }), /another process writes to this vault/)
  const reader = open({ access: 'read' })
  assert.equal((await reader.points()).length, 1)
  await assert.rejects(beginBackup(reader, { seeds: [2] }), has('refused'))
  await assert.rejects(reader.collect({ dryRun: false, signal: never }), has('refused'))
  await assert.rejects(reader.prune({ dryRun: false }), has('refused'))
  await writer.close()
  open({ access: 'write' })
})

test('what a killed vault left unfinished is cleared, and nothing of it is listed', async () => {
  const store = open()
  const session = await beginBackup(store, { seeds: [1, 2] })
  await sendChunks(session, [1, 2])
  assert.equal(readdirSync(join(place.dir, 'tmp')).length, 1)
  const copy = makeVaultDir()
  cpSync(place.dir, copy.dir, { recursive: true })
  const again = copy.open()
  try {
    assert.deepEqual(readdirSync(join(copy.dir, 'tmp')), [])
    assert.deepEqual(await again.points(), [])
    await backUp(again, { seeds: [1, 2] })
  } finally {
    await again.close()
    copy.remove()
  }
})

test('a blade sees what its own certificate wrote and what it was granted, and nothing else', async () => {
  const store = open()
  const one = { vmId: vmId(1), point: '20261128T020512Z' }
  const granted = new Set<string>()
  const isGranted = (ref: { readonly vmId: string }) => granted.has(ref.vmId)
  const mine = store.visibleTo('blade03', isGranted)
  const other = store.visibleTo('blade07', isGranted)
  await backUp(mine, { seeds: [1] })
  assert.equal((await mine.points()).length, 1)
  assert.deepEqual(await other.points(), [])
  for (const refused of [
    () => other.manifest(one),
    () => other.index(one, 'vda'),
    () => other.chunks(one, [makeChunk(1).id]),
    () => other.check(one, { signal: never }),
  ]) {
    await assert.rejects(refused, has('not-found'))
  }
  granted.add(vmId(1))
  assert.equal((await other.points()).length, 1)
  assert.equal((await other.chunks(one, [makeChunk(1).id])).length, 1)
  // To read is not to write: the point of another blade is not replaced.
  await assert.rejects(backUp(other, { seeds: [2] }), has('already-exists'))
})

test('a full vault takes no new backup and says so; pruning and collecting make room again', async () => {
  const space: { now: Space } = { now: { sizeBytes: 100 * GIB, freeBytes: 50 * GIB } }
  const store = open({ space: async () => space.now })
  await backUp(store, { seeds: [1] })
  await backUp(store, { seeds: [2], at: FIRST_NIGHT + DAY_MS })
  space.now = { ...space.now, freeBytes: 4 * GIB }
  await assert.rejects(
    beginBackup(store, { seeds: [3] }),
    /has 4 GiB of 100 GiB free and keeps 5 GiB \(5 %\)/,
  )
  const full = await store.status()
  assert.equal(full.accepts, false)
  assert.deepEqual(
    full.problems.map(({ code }) => code),
    ['vault-full'],
  )
  space.now = { ...space.now, freeBytes: 50 * GIB, files: { most: 1_000_000, free: 900 } }
  await assert.rejects(beginBackup(store, { seeds: [3] }), /room for only 900 more files/)
  const verdicts = await store.prune({ dryRun: false, policy: KEEP_ONE })
  assert.deepEqual(
    verdicts.map(({ keep }) => keep),
    [true, false],
  )
  assert.equal((await store.collect({ dryRun: false, signal: never })).chunks, 1)
  // A small file system has few of them to begin with.
  space.now = { ...space.now, freeBytes: 60 * GIB, files: { most: 9_000, free: 900 } }
  assert.deepEqual((await store.status()).problems, [])
  await backUp(store, { seeds: [3], at: FIRST_NIGHT + 2 * DAY_MS })
})

test('a vault that fills while a backup comes in fails that backup and lists nothing half', async () => {
  const space: { now: Space } = { now: { sizeBytes: 100 * GIB, freeBytes: 50 * GIB } }
  const store = open({ space: async () => space.now })
  const session = await beginBackup(store, { seeds: [1, 2] })
  await sendChunks(session, [1, 2])
  space.now = { ...space.now, freeBytes: 1000 }
  await assert.rejects(session.publish(draftOf({ seeds: [1, 2] })), has('refused'))
  await session.abort()
  assert.deepEqual(await store.points(), [])
  assert.deepEqual(readdirSync(join(place.dir, 'tmp')), [])
})

test('a restore point is not listed when the file system cannot be made durable', async () => {
  let isBroken = false
  const run = {
    ...idleRunner,
    run: async () => {
      if (isBroken) throw new LifeboatError('command-failed', 'sync exited with 1: Input/output error')
      return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 }
    },
  }
  const store = open({ run })
  const session = await beginBackup(store, { seeds: [1] })
  await sendChunks(session, [1])
  isBroken = true
  await assert.rejects(session.publish(draftOf({ seeds: [1] })), /Input\/output error/)
  await session.abort()
  assert.deepEqual(await store.points(), [])
  assert.ok(!existsSync(join(place.dir, 'points', vmId(1))))
})

test('a clock that is behind is told of; one that is ahead is refused, and both clocks are named', async () => {
  const store = open()
  const { vm, point } = draftOf({ seeds: [1] })
  const beginAt = async (nowAt: number) =>
    await (await store.beginAs({ vm, point, nowAt }, 'blade03')).abort()
  const problem = async () =>
    (await store.status()).problems.map(({ code, text }) => `${code}: ${text}`).join()

  await beginAt(VAULT_NOW - HOUR_MS)
  assert.match(await problem(), /^clock-off: the clock of blade03 is 60 min behind the clock of this vault/)
  await assert.rejects(beginAt(VAULT_NOW + HOUR_MS), (error: Error) => {
    assert.equal(errorCode(error), 'refused')
    assert.match(error.message, /the clock of blade03 says 2026-12-05 03:05:12 UTC/)
    assert.match(error.message, /the clock of this vault 2026-12-05 02:05:12 UTC/)
    return true
  })
  assert.match(await problem(), /^clock-off: .* 60 min ahead of .*: its backups are refused meanwhile/)
  await beginAt(VAULT_NOW + 4 * 60_000)
  assert.equal(await problem(), '')
})

test('no restore point of the future comes in: not by its name, not by what its manifest says', async () => {
  const store = open()
  const future = draftOf({ seeds: [1], at: Date.UTC(2031, 0, 1) })
  const begin = (point: string) => store.beginAs({ vm: future.vm, point, nowAt: VAULT_NOW }, 'blade03')
  await assert.rejects(begin(future.point), /20310101T000000Z would lie .* in the future/)
  // Later than any night, and no moment at all.
  await assert.rejects(begin('20261128T999999Z'), has('bad-input'))
  const session = await beginBackup(store, { seeds: [1] })
  await sendChunks(session, [1])
  await assert.rejects(
    session.publish({ ...draftOf({ seeds: [1] }), at: future.at }),
    /says another moment than its name/,
  )
  await session.abort()
  assert.deepEqual(await store.points(), [])
})

test('a blade cannot push out with its own restore points what another one wrote of that VM', async () => {
  const store = open()
  const mine = store.visibleTo('blade03', () => false)
  await backUp(mine, { seeds: [1] })
  await backUp(mine, { seeds: [2], at: FIRST_NIGHT + DAY_MS })
  const forger = store.visibleTo('blade07', () => false)
  for (const hour of [1, 2, 3]) {
    await backUp(forger, { seeds: [7], at: FIRST_NIGHT + 2 * DAY_MS + hour * HOUR_MS })
  }
  const policy = { keepLast: 1, keepDaily: 1, keepWeekly: 0, keepMonthly: 0 }
  await store.prune({ dryRun: false, policy })
  assert.deepEqual(
    (await store.points()).map(({ blade, point }) => `${blade} ${point}`),
    ['blade07 20261130T050512Z', 'blade03 20261129T020512Z'],
  )
})

test('one blade has two places, so that others come in beside it; a writer on this host is not counted', async () => {
  const store = open()
  const begin = (vm: number, blade: string) =>
    store.beginAs({ ...draftOf({ vm, seeds: [] }), nowAt: VAULT_NOW }, blade)
  const first = await begin(1, 'blade03')
  await begin(2, 'blade03')
  await assert.rejects(begin(3, 'blade03'), /2 backups of blade03 come in already/)
  await begin(4, 'blade07')
  await first.abort()
  await begin(3, 'blade03')
  await store.close()

  const byHand = open()
  for (const vm of [1, 2, 3, 4]) await beginBackup(byHand, { vm, seeds: [] })
})

test('a backup nobody works on gives up its place; one that is only slow says so and keeps it', async () => {
  const store = open({ maxSessions: 2 })
  const begin = (vm: number, blade: string) =>
    store.beginAs({ ...draftOf({ vm, seeds: [] }), nowAt: place.clock.now() }, blade)
  const slow = await begin(1, 'blade03')
  const dead = await begin(2, 'blade04')
  for (let minute = 0; minute < 12; minute += 2) {
    assert.deepEqual(await slow.missing([]), [])
    await place.clock.advance(2 * 60_000)
  }
  await until('the dead one is ended', async () => (await store.status()).sessions === 1)
  await assert.rejects(dead.put([makeChunk(1)]), has('aborted'))
  await slow.put([makeChunk(1)])
  await begin(3, 'blade07')
})

test('an index that lies about the length of a chunk harms no other restore point', async () => {
  const store = open()
  await backUp(
    store.visibleTo('blade03', () => false),
    { seeds: [1] },
  )
  await store.prove(never)
  const liar = store.visibleTo('blade07', () => false)
  const builder = createIndexBuilder(CHUNK_BYTES, CHUNK_BYTES + 100)
  for (const [position, seed] of [9, 1].entries()) builder.set(position, makeChunk(seed).id)
  const index = builder.finish()
  const honest = draftOf({ vm: 2, seeds: [9, 1] })
  const disks = honest.disks.map(disk => ({
    ...disk,
    sizeBytes: CHUNK_BYTES + 100,
    indexSha256: hash('sha256', index, 'hex'),
  }))
  const session = await beginBackup(liar, { vm: 2, seeds: [9, 1] })
  await session.put([makeChunk(9)])
  await session.putIndex('vda', index)
  await session.publish({ ...honest, disks })

  const report = await liar.check({ vmId: vmId(2), point: honest.point }, { signal: never })
  assert.deepEqual(report.bad, [])
  assert.match(report.problems.join(), /the index of vda asks for chunks in another length/)
  const states = async () => (await store.points()).map(({ vm, state, checkedAt }) => [vm, state, checkedAt])
  assert.deepEqual(await states(), [
    ['vm1', 'whole', 0],
    ['vm2', 'damaged', 0],
  ])
  assert.deepEqual(readdirSync(join(place.dir, 'quarantine')), [])
  // A scrub does not know better, and the restore point stays the only one that is wrong.
  await store.scrub({ signal: never, rateBytes: 0 })
  assert.deepEqual(await states(), [
    ['vm1', 'whole', VAULT_NOW],
    ['vm2', 'damaged', 0],
  ])
  assert.deepEqual(
    (await store.status()).problems.map(({ code, points }) => [code, points]),
    [['index-unfit', [{ vmId: vmId(2), point: honest.point }]]],
  )
})

test('the outcome of a boot test is kept with the restore point, and counts as verified', async () => {
  const store = open()
  for (const day of [0, 1, 2]) await backUp(store, { seeds: [day], at: FIRST_NIGHT + day * DAY_MS })
  const ref = { vmId: vmId(1), point: '20261128T020512Z' }
  const record = { at: VAULT_NOW, ok: true, recoveryMs: 42_000, error: '' }
  assert.deepEqual((await store.recordBoot(ref, record)).boot, record)
  const verdicts = await store.prune({ dryRun: true, policy: KEEP_ONE })
  assert.deepEqual(
    verdicts.map(({ keep, reasons }) => [keep, reasons.join()]),
    [
      [true, 'last 1 of 1,newest whole'],
      [false, 'no rule keeps it'],
      [true, 'newest verified'],
    ],
  )
  await assert.rejects(store.recordBoot({ ...ref, vmId: vmId(7) }, record), has('not-found'))
})

test('a restore point that is being read is not dropped from under its reader', async () => {
  const store = open()
  for (const day of [0, 1]) await backUp(store, { seeds: [day], at: FIRST_NIGHT + day * DAY_MS })
  const ref = { vmId: vmId(1), point: '20261128T020512Z' }
  await store.index(ref, 'vda')
  assert.deepEqual((await store.prune({ dryRun: false, policy: KEEP_ONE })).at(-1)?.reasons, ['being read'])
  await place.clock.advance(11 * 60_000)
  assert.equal((await store.prune({ dryRun: false, policy: KEEP_ONE })).at(-1)?.keep, false)
  await assert.rejects(store.manifest(ref), has('not-found'))
})

test('what somebody has leave to read is not dropped, nor what is checked, or whose manifest was just read', async () => {
  const granted = new Set<string>()
  const store = open({ grantOf: ({ point }) => (granted.has(point) ? 'granted to blade03' : '') })
  for (const day of [0, 1]) await backUp(store, { seeds: [day], at: FIRST_NIGHT + day * DAY_MS })
  const ref = { vmId: vmId(1), point: '20261128T020512Z' }
  const verdict = async () => (await store.prune({ dryRun: true, policy: KEEP_ONE })).at(-1)?.reasons.join()
  assert.equal(await verdict(), 'no rule keeps it')
  granted.add(ref.point)
  assert.equal(await verdict(), 'granted to blade03')
  granted.clear()
  for (const read of [() => store.manifest(ref), () => store.check(ref, { signal: never })]) {
    await read()
    assert.match((await verdict()) ?? '', /being read/)
    await place.clock.advance(11 * 60_000)
  }
})

test('policies are kept by the vault, for each VM or for all', async () => {
  const store = open()
  for (const vm of [1, 2]) {
    for (const day of [0, 1]) await backUp(store, { vm, seeds: [vm], at: FIRST_NIGHT + day * DAY_MS })
  }
  assert.ok((await store.prune({ dryRun: false })).every(({ keep }) => keep))
  store.setRetention({ byDefault: KEEP_ONE, byVmId: { [vmId(2)]: { ...KEEP_ONE, keepLast: 5 } } })
  await store.close()
  const again = open()
  assert.deepEqual(again.retention().byDefault, KEEP_ONE)
  const verdicts = await again.prune({ dryRun: true })
  assert.deepEqual(
    verdicts.map(({ vm, keep }) => [vm, keep]),
    [
      ['vm1', true],
      ['vm1', false],
      ['vm2', true],
      ['vm2', true],
    ],
  )
})

test('chunks of a backup that ended early are there for the next attempt, and are collected when none comes', async () => {
  const store = open()
  const session = await beginBackup(store, { seeds: [1, 2] })
  await sendChunks(session, [1, 2])
  await session.abort()
  const next = await beginBackup(store, { seeds: [1, 2] })
  assert.deepEqual(await next.missing([makeChunk(1).id, makeChunk(3).id]), [makeChunk(3).id])
  // Claimed by the look: it stays. The other goes.
  const report = await store.collect({ dryRun: false, signal: never })
  assert.deepEqual([report.chunks, report.keptChunks], [1, 1])
  await next.abort()
  assert.deepEqual((await store.collect({ dryRun: false, signal: never })).keptChunks, 0)
})

test('one restore point whose manifest cannot be read hides no other', async () => {
  const store = open()
  for (const day of [0, 1]) await backUp(store, { seeds: [day], at: FIRST_NIGHT + day * DAY_MS })
  const path = join(place.dir, 'points', vmId(1), '20261128T020512Z', 'manifest.json')
  // A folder in its place answers with an error as a bad sector does.
  rmSync(path)
  mkdirSync(path)
  const points = await store.points()
  assert.deepEqual(
    points.map(({ state }) => state),
    ['whole', 'unreadable'],
  )
  assert.match(points[1]?.stateText ?? '', /cannot read .*EISDIR/)
})

test('a connection that breaks while chunks come in ends its backup once, and frees its place', async () => {
  let sync = Promise.withResolvers<void>()
  const run = {
    ...idleRunner,
    run: async () => {
      await sync.promise
      return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 }
    },
  }
  const store = open({ run, maxSessions: 1 })
  const session = await beginBackup(store, { seeds: [1, 2] })
  await session.put([makeChunk(1)])
  const aborts = [session.abort(), session.abort()]
  // The file system takes its time; the rest of the body comes meanwhile.
  await assert.rejects(session.put([makeChunk(2)]), has('aborted'))
  await assert.rejects(beginBackup(store, { vm: 2, seeds: [3] }), has('busy'))
  sync.resolve()
  await Promise.all(aborts)
  assert.deepEqual(readdirSync(join(place.dir, 'tmp')), [])
  sync = Promise.withResolvers<void>()
  sync.resolve()
  await backUp(store, { vm: 2, seeds: [3] })
})
