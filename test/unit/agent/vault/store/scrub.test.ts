import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { chunkPath } from '../../../../../agent/vault/format/chunk.ts'
import type { VaultStore } from '../../../../../agent/vault/store/vault-store.ts'
import { createHastyClock } from '../../../../fakes/manual-clock.ts'
import {
  backUp,
  FIRST_NIGHT,
  makeChunk,
  makeVaultDir,
  spoilChunk,
  VAULT_NOW,
  type VaultDir,
  vmId,
} from '../../../../fakes/vault-dir.ts'

const DAY_MS = 86_400_000
const never = new AbortController().signal

let place: VaultDir
let store: VaultStore
beforeEach(() => {
  place = makeVaultDir()
  store = place.open()
})
afterEach(async () => {
  await store.close()
  place.remove()
})

const scrub = (signal = never) => store.scrub({ signal, rateBytes: 0 })
const stateOf = async () =>
  (await store.points()).map(({ vm, point, state, checkedAt }) => [vm, point, state, checkedAt])
const problems = async () => (await store.status()).problems

function pathOf(vm: number, point: string, name: string): string {
  return join(place.dir, 'points', vmId(vm), point, name)
}

test('a scrub without a fault checks every restore point that was there when it began', async () => {
  await backUp(store, { seeds: [1, 2, 3] })
  await place.clock.advance(DAY_MS)
  assert.deepEqual(await scrub(), { finished: true, chunks: 3, bad: [] })
  assert.deepEqual(await stateOf(), [['vm1', '20261128T020512Z', 'whole', VAULT_NOW + DAY_MS]])
  const { scrub: state } = await store.status()
  assert.deepEqual(
    [state.startedAt, state.endedAt, state.doneChunks],
    [VAULT_NOW + DAY_MS, VAULT_NOW + DAY_MS, 3],
  )
})

test('a flipped byte: the chunk leaves the store, its problem names every restore point it touches, a backup heals it', async () => {
  await backUp(store, { seeds: [1, 2] })
  await backUp(store, { seeds: [2, 3], at: FIRST_NIGHT + DAY_MS })
  await backUp(store, { vm: 2, seeds: [4] })
  const { id } = makeChunk(2)
  spoilChunk(place.dir, id)
  assert.deepEqual((await scrub()).bad, [id])
  assert.ok(!existsSync(join(place.dir, 'store', chunkPath(id))))
  assert.ok(existsSync(join(place.dir, 'quarantine', id)))
  const [problem, ...more] = await problems()
  assert.deepEqual(more, [])
  assert.deepEqual([problem?.code, problem?.chunk, problem?.since], ['chunk-corrupt', id, VAULT_NOW])
  assert.deepEqual(problem?.points, [
    { vmId: vmId(1), point: '20261128T020512Z' },
    { vmId: vmId(1), point: '20261129T020512Z' },
  ])
  assert.match(problem?.text ?? '', /vm1@20261128T020512Z, vm1@20261129T020512Z cannot be restored/)
  assert.deepEqual(
    (await store.points()).map(({ vm, state }) => `${vm} ${state}`),
    ['vm1 damaged', 'vm1 damaged', 'vm2 whole'],
  )

  // It survives a restart of the vault, and ends with the next backup that has the chunk.
  await store.close()
  store = place.open()
  assert.equal((await problems()).length, 1)
  await backUp(store, { vm: 2, seeds: [2], at: FIRST_NIGHT + DAY_MS })
  assert.deepEqual(await problems(), [])
  assert.ok(!existsSync(join(place.dir, 'quarantine', id)))
  assert.ok((await store.points()).every(({ state }) => state === 'whole'))
})

test('a chunk that is gone is found too', async () => {
  await backUp(store, { seeds: [1, 2] })
  rmSync(join(place.dir, 'store', chunkPath(makeChunk(1).id)))
  assert.deepEqual((await scrub()).bad, [makeChunk(1).id])
  assert.deepEqual(
    (await problems()).map(({ code }) => code),
    ['chunk-corrupt'],
  )
  assert.equal((await store.points())[0]?.state, 'damaged')
})

test('a corrupt chunk nobody names is garbage, not a problem', async () => {
  await backUp(store, { seeds: [1] })
  await backUp(store, { seeds: [2], at: FIRST_NIGHT + DAY_MS })
  const policy = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }
  await store.prune({ dryRun: false, policy })
  spoilChunk(place.dir, makeChunk(1).id)
  assert.deepEqual((await scrub()).bad, [makeChunk(1).id])
  assert.deepEqual(await problems(), [])
})

test('dropping the last restore point a problem touches ends it', async () => {
  await backUp(store, { seeds: [1] })
  await backUp(store, { seeds: [2], at: FIRST_NIGHT + DAY_MS })
  spoilChunk(place.dir, makeChunk(1).id)
  await scrub()
  assert.equal((await problems()).length, 1)
  await store.prune({ dryRun: false, policy: { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 } })
  assert.deepEqual(await problems(), [])
})

test('a person removes the folder of a damaged restore point: the next scrub forgets what was wrong with it', async () => {
  await backUp(store, { seeds: [1, 2] })
  spoilChunk(place.dir, makeChunk(1).id)
  await scrub()
  truncateSync(pathOf(1, '20261128T020512Z', 'vda.caibx'), 60)
  await scrub()
  assert.deepEqual((await problems()).map(({ code }) => code).sort(), ['chunk-corrupt', 'index-damaged'])
  rmSync(join(place.dir, 'points', vmId(1), '20261128T020512Z'), { recursive: true })
  await scrub()
  assert.deepEqual(await problems(), [])
})

test('a truncated index, a flipped byte of one, a manifest of a newer Lifeboat: each its own problem, healed by its return', async () => {
  for (const vm of [1, 2, 3]) await backUp(store, { vm, seeds: [vm, 9] })
  const point = '20261128T020512Z'
  const [cut, flipped, newer] = [
    pathOf(1, point, 'vda.caibx'),
    pathOf(2, point, 'vda.caibx'),
    pathOf(3, point, 'manifest.json'),
  ]
  const before = [cut, flipped, newer].map(path => readFileSync(path))
  truncateSync(cut, 120)
  const bytes = Buffer.from(before[1] ?? '')
  bytes.writeUInt8(bytes.readUInt8(80) ^ 1, 80)
  writeFileSync(flipped, bytes)
  writeFileSync(newer, (before[2] ?? '').toString().replace('"version": 1', '"version": 7'))

  await scrub()
  assert.deepEqual(
    (await problems()).map(({ code, points }) => [code, points[0]?.vmId]),
    [
      ['index-damaged', vmId(1)],
      ['index-damaged', vmId(2)],
      ['manifest-unreadable', vmId(3)],
    ],
  )
  const listed = await store.points()
  assert.deepEqual(
    listed.map(({ vm, state }) => `${vm} ${state}`),
    ['vm1 damaged', 'vm2 damaged', 'vm3 unreadable'],
  )
  assert.match(listed[2]?.stateText ?? '', /version 7, this Lifeboat reads up to 1: upgrade it/)
  // A newer one is kept, and so are its chunks.
  const report = await store.prune({
    dryRun: true,
    policy: { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 },
  })
  assert.deepEqual(report.find(({ vm }) => vm === 'vm3')?.reasons.at(-1), 'its manifest cannot be read')

  for (const [index, path] of [cut, flipped, newer].entries()) writeFileSync(path, before[index] ?? '')
  await scrub()
  assert.deepEqual(await problems(), [])
})

test('a restore from damaged data is refused before anything is read for it', async () => {
  await backUp(store, { seeds: [1, 2] })
  truncateSync(pathOf(1, '20261128T020512Z', 'vda.caibx'), 120)
  const ref = { vmId: vmId(1), point: '20261128T020512Z' }
  await assert.rejects(store.index(ref, 'vda'), /the index of vda .* is damaged/)
  const report = await store.check(ref, { signal: never })
  assert.match(report.problems.join(), /not the index its manifest names/)
})

test('a scrub that was stopped goes on where it was, also after a restart', async () => {
  await backUp(store, { seeds: [1, 2, 3, 4, 5, 6] })
  const stop = new AbortController()
  const first = await store.scrub({ signal: stop.signal, rateBytes: 0, onProgress: () => stop.abort() })
  assert.equal(first.finished, false)
  assert.equal(first.chunks, 1)
  assert.equal((await store.status()).scrub.endedAt, 0)
  assert.equal((await store.points())[0]?.checkedAt, 0)
  await store.close()
  store = place.open()
  assert.deepEqual(await scrub(), { finished: true, chunks: 6, bad: [] })
  assert.equal((await store.points())[0]?.checkedAt, VAULT_NOW)
})

test('what is listed while a scrub runs is not called checked by it', async () => {
  await backUp(store, { seeds: [1] })
  let second: Promise<unknown> | undefined
  await store.scrub({
    signal: never,
    rateBytes: 0,
    onProgress: () => {
      second ??= backUp(store, { vm: 2, seeds: [2] })
    },
  })
  await second
  await scrub()
  assert.ok((await store.points()).every(({ checkedAt }) => checkedAt > 0))
})

test('a scrub keeps to its rate', async () => {
  await store.close()
  const clock = createHastyClock(VAULT_NOW, DAY_MS)
  store = place.open({ clock })
  await backUp(store, { seeds: [1, 2, 3, 4] })
  const bytes = (await store.status()).storedBytes
  await store.scrub({ signal: never, rateBytes: bytes / 10 })
  const tookMs = clock.now() - VAULT_NOW
  assert.ok(tookMs >= 9_000 && tookMs <= 11_000, `${tookMs} ms`)
})

test('a list of problems that cannot be read lets no damaged restore point pass: a scrub is due at once', async () => {
  await backUp(store, { seeds: [1, 2] })
  await scrub()
  spoilChunk(place.dir, makeChunk(2).id)
  await scrub()
  assert.equal((await problems()).length, 1)
  assert.equal(
    existsSync(pathOf(1, '20261128T020512Z', 'checked.json')),
    false,
    'nor is it remembered as hashed',
  )
  await store.close()
  truncateSync(join(place.dir, 'state', 'problems.json'), 30)
  store = place.open()
  assert.equal((await store.status()).scrub.startedAt, 0)
  assert.deepEqual(
    (await stateOf()).map(([, , , checkedAt]) => checkedAt),
    [0],
  )
  await scrub()
  assert.deepEqual(
    (await stateOf()).map(([, , state]) => state),
    ['damaged'],
  )
})

test('a chunk that a person brings back ends its problem at the next scrub: no backup would send what is there', async () => {
  await backUp(store, { seeds: [1, 2] })
  const { id, frame } = makeChunk(2)
  const path = join(place.dir, 'store', chunkPath(id))
  rmSync(path)
  assert.deepEqual((await scrub()).bad, [id])
  writeFileSync(path, frame)
  await scrub()
  assert.deepEqual(await problems(), [])
  assert.deepEqual(
    (await stateOf()).map(([, , state]) => state),
    ['whole'],
  )
})
