import assert from 'node:assert/strict'
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { packSums, sumAt, sumOf } from '../../../../../agent/vault/format/sums.ts'
import { sumsFile, vaultLayout } from '../../../../../agent/vault/store/layout.ts'
import type { VaultStore } from '../../../../../agent/vault/store/vault-store.ts'
import type { CheckDepth } from '../../../../../agent/vault/vault.ts'
import {
  backUp,
  beginBackup,
  draftOf,
  FIRST_NIGHT,
  indexOf,
  makeChunk,
  makeVaultDir,
  spoilChunk,
  type VaultDir,
  vmId,
} from '../../../../fakes/vault-dir.ts'

const DAY_MS = 86_400_000
const SEEDS = [1, 2, 3]
const never = new AbortController().signal
const frameOf = (seed: number) => makeChunk(seed).frame

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

const refAt = (at: number) => ({ vmId: vmId(1), point: draftOf({ at, seeds: SEEDS }).point })
const sumsPath = (at = FIRST_NIGHT) => `${vaultLayout(place.dir).point(refAt(at))}/${sumsFile('vda')}`
const sumsOf = (seeds: readonly number[]) =>
  packSums(seeds.length, position => sumOf(frameOf(seeds[position] ?? 0)))
const check = async (depth: CheckDepth) =>
  (await store.check(refAt(FIRST_NIGHT), { signal: never, depth })).bad

describe('the sums of the frames of a restore point', () => {
  it('are of what was put, and of what stayed where it was since the newest restore point', async () => {
    await backUp(store, { seeds: SEEDS })
    await backUp(store, { at: FIRST_NIGHT + DAY_MS, seeds: [1, 4, 3, 2] })
    const [first, second] = [readFileSync(sumsPath()), readFileSync(sumsPath(FIRST_NIGHT + DAY_MS))]
    assert.deepEqual(first, sumsOf(SEEDS))
    // Chunk 2 came to another place: not known there, and unpacked by who checks it.
    assert.deepEqual(second, Buffer.concat([sumsOf([1, 4, 3]), Buffer.alloc(4)]))
  })

  it('let a quick check believe a frame without unpacking it; a full one hashes all the same', async () => {
    await backUp(store, { seeds: SEEDS })
    spoilChunk(place.dir, makeChunk(2).id)
    writeFileSync(sumsPath(), sumsOf([1, 666, 3]))
    assert.deepEqual(await check('quick'), [])
    assert.deepEqual(await check('full'), [makeChunk(2).id])
  })

  it('hide nothing: a frame that does not agree is unpacked and hashed, and only then condemned', async () => {
    await backUp(store, { seeds: SEEDS })
    writeFileSync(sumsPath(), sumsOf([3, 2, 1]))
    assert.deepEqual(await check('quick'), [], 'the sums are wrong, the chunks are not')
    spoilChunk(place.dir, makeChunk(2).id)
    assert.deepEqual(await check('quick'), [makeChunk(2).id])
  })

  it('are a help: gone or cut short they change no verdict', async () => {
    await backUp(store, { seeds: SEEDS })
    spoilChunk(place.dir, makeChunk(3).id)
    truncateSync(sumsPath(), 9)
    assert.deepEqual(await check('quick'), [makeChunk(3).id])
    rmSync(sumsPath())
    assert.equal((await store.summary(refAt(FIRST_NIGHT))).state, 'damaged')
    await backUp(store, { at: FIRST_NIGHT + DAY_MS, seeds: SEEDS })
    assert.deepEqual(await check('quick'), [], 'healed, and hashed where nothing is known')
    assert.deepEqual(
      [0, 1, 2].map(position => sumAt(readFileSync(sumsPath(FIRST_NIGHT + DAY_MS)), position) !== 0),
      [false, false, true],
    )
  })

  it('say nothing of what was never hashed: a blade sums up its lies correctly', async () => {
    const blade = store.visibleTo('blade01', () => false)
    const session = await beginBackup(blade, { seeds: SEEDS })
    await session.put([{ id: makeChunk(1).id, frame: frameOf(666) }, makeChunk(2), makeChunk(3)])
    await session.putIndex('vda', indexOf(SEEDS))
    await session.publish(draftOf({ seeds: SEEDS }))
    assert.equal(sumAt(readFileSync(sumsPath()), 0), sumOf(frameOf(666)))
    assert.deepEqual(await check('quick'), [makeChunk(1).id])
  })
})
