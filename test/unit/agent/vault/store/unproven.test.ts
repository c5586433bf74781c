import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { chunkPath } from '../../../../../agent/vault/format/chunk.ts'
import type { VaultStore } from '../../../../../agent/vault/store/vault-store.ts'
import { errorCode } from '../../../../../shared/errors.ts'
import { until } from '../../../../fakes/until.ts'
import {
  type BackupOfSeeds,
  backUp,
  beginBackup,
  draftOf,
  idleRunner,
  indexOf,
  makeChunk,
  makeVaultDir,
  sendChunks,
  spoilChunk,
  type VaultDir,
} from '../../../../fakes/vault-dir.ts'

const ID = makeChunk(1).id
const LIE = { id: ID, frame: makeChunk(2).frame }
const never = new AbortController().signal
const backupOf = (vm: number): BackupOfSeeds => ({ vm, seeds: [1, 2, 3] })

let place: VaultDir
let store: VaultStore
const as = (blade: string) => store.visibleTo(blade, () => false)
const listsIn = (folder: string) => readdirSync(folder).filter(name => name.startsWith('unproven-'))
const states = async () => (await store.points()).map(({ state }) => state)

beforeEach(() => {
  place = makeVaultDir()
  store = place.open()
})
afterEach(async () => {
  await store.close()
  place.remove()
})

/** A blade backs up, and lies about one chunk. */
async function backUpLying(blade: string, vm: number) {
  const session = await beginBackup(as(blade), backupOf(vm))
  await session.put([LIE, makeChunk(2), makeChunk(3)])
  await session.putIndex('vda', indexOf([1, 2, 3]))
  await session.publish(draftOf(backupOf(vm)))
}

describe('chunks that came in and were not hashed yet', () => {
  it('are believed by the blade that sent them, and by nobody else until they are proven', async () => {
    await backUp(as('blade01'), backupOf(1))
    assert.equal((await store.status()).unproven, 3)
    const all = [1, 2, 3].map(seed => makeChunk(seed).id)
    const own = await beginBackup(as('blade01'), backupOf(2))
    assert.deepEqual(await own.missing(all), [])
    await own.abort()
    for (const other of [as('blade02'), store]) {
      const session = await beginBackup(other, backupOf(3))
      assert.deepEqual(await session.missing(all), all)
      await session.abort()
    }
    assert.deepEqual(await store.prove(never), { chunks: 3, bad: [], finished: true })
    assert.equal((await store.status()).unproven, 0)
    const session = await beginBackup(as('blade02'), backupOf(3))
    assert.deepEqual(await session.missing(all), [])
    await session.abort()
    assert.deepEqual(await store.prove(never), { chunks: 0, bad: [], finished: true })
  })

  it('that are a lie touch the restore points of the liar alone, and a problem names them', async () => {
    await backUpLying('blade01', 1)
    await backUp(as('blade02'), backupOf(2))
    assert.deepEqual(
      await store.check(
        { vmId: draftOf(backupOf(2)).vm.id, point: draftOf(backupOf(2)).point },
        { signal: never },
      ),
      {
        chunks: 3,
        bad: [],
        problems: [],
      },
    )
    // What the honest blade sent took the place of the lie.
    await store.prove(never)
    assert.deepEqual(await states(), ['whole', 'whole'])
  })

  it('that are a lie are found by the proof, and the next backup brings them again', async () => {
    await backUpLying('blade01', 1)
    assert.deepEqual(await store.prove(never), { chunks: 3, bad: [ID], finished: true })
    assert.deepEqual(await states(), ['damaged'])
    const [problem] = (await store.status()).problems
    assert.match(problem?.text ?? '', /does not hold what its name says/)
    const again = await beginBackup(as('blade01'), backupOf(2))
    assert.deepEqual(await again.missing([ID]), [ID])
    assert.equal(
      await again.put([LIE]).catch(errorCode),
      'bad-input',
      'a problem ends with nothing but the truth',
    )
    await sendChunks(again, [1, 2, 3])
    await again.publish(draftOf(backupOf(2)))
    assert.deepEqual(await states(), ['whole', 'whole'])
  })

  it('never take the place of what lies there: that needs a look at them', async () => {
    await backUp(as('blade01'), backupOf(1))
    await store.prove(never)
    const liar = await beginBackup(as('blade02'), backupOf(2))
    assert.equal(await liar.put([LIE]).catch(errorCode), 'bad-input')
    await liar.abort()
    assert.deepEqual((await store.prove(never)).bad, [])
    assert.deepEqual(await states(), ['whole'])
  })

  it('of two blades that send the same at once: the second is looked at when the first has got the name', async () => {
    const honest = await beginBackup(as('blade01'), backupOf(1))
    const liar = await beginBackup(as('blade02'), backupOf(2))
    await honest.put([makeChunk(1), makeChunk(2), makeChunk(3)])
    await liar.put([LIE, makeChunk(2), makeChunk(3)])
    await honest.putIndex('vda', indexOf([1, 2, 3]))
    await liar.putIndex('vda', indexOf([1, 2, 3]))
    await honest.publish(draftOf(backupOf(1)))
    assert.equal(await liar.publish(draftOf(backupOf(2))).catch(errorCode), 'bad-input')
    await liar.abort()
    await store.prove(never)
    assert.deepEqual(await states(), ['whole'])
  })

  it('are no part of a restore point of another blade, also one that does not ask', async () => {
    await backUpLying('blade01', 1)
    const session = await beginBackup(as('blade02'), backupOf(2))
    await session.putIndex('vda', indexOf([1, 2, 3]))
    assert.equal(await session.publish(draftOf(backupOf(2))).catch(errorCode), 'refused')
    await session.abort()
  })

  it('are still unproven after a restart of the vault, also when a list broke off', async () => {
    await backUpLying('blade01', 1)
    await store.close()
    const folder = join(place.dir, 'state')
    const [list = ''] = listsIn(folder)
    appendFileSync(join(folder, list), ID.slice(0, 20))
    store = place.open()
    assert.equal((await store.status()).unproven, 3)
    const session = await beginBackup(as('blade02'), backupOf(2))
    assert.deepEqual(await session.missing([ID]), [ID])
    await session.abort()
    assert.deepEqual((await store.prove(never)).bad, [ID])
    assert.deepEqual(listsIn(folder), [])
  })

  it('that are a lie and are replaced while somebody checks them: what took the place stays', async () => {
    await store.close()
    const release = Promise.withResolvers<void>()
    let syncs = 0
    // The third publishes and holds the queue of listings: chunks have their names, the point is not listed yet.
    store = place.open({
      run: {
        ...idleRunner,
        run: async (argv, options) => {
          syncs++
          if (syncs === 4) await release.promise
          return await idleRunner.run(argv, options)
        },
      },
    })
    await backUpLying('blade01', 1)
    assert.equal(syncs, 2)
    const third = backUp(as('blade03'), { vm: 3, seeds: [7] })
    await until('the third is about to be listed', () => syncs === 4)
    const ref = { vmId: draftOf(backupOf(1)).vm.id, point: draftOf(backupOf(1)).point }
    let isSeen = false
    const onProgress = (done: number, total: number) => {
      isSeen = done === total
    }
    const check = as('blade01').check(ref, { signal: never, onProgress })
    await until('the lie is seen', () => isSeen)
    const honest = await beginBackup(as('blade02'), backupOf(2))
    await sendChunks(honest, [1, 2, 3])
    const published = honest.publish(draftOf(backupOf(2)))
    await until('the honest chunks are about to get their names', () => syncs === 5)
    release.resolve()
    await Promise.all([third, check, published])
    assert.deepEqual(await states(), ['whole', 'whole', 'whole'])
    assert.deepEqual((await store.prove(never)).bad, [])
  })

  it("come in no more when their backup is being published: what came then would be in nobody's place", async () => {
    const session = await beginBackup(as('blade01'), backupOf(1))
    await sendChunks(session, [1, 2, 3])
    const published = session.publish(draftOf(backupOf(1)))
    assert.equal(await session.put([makeChunk(4)]).catch(errorCode), 'aborted')
    assert.equal(await session.putIndex('vda', indexOf([4])).catch(errorCode), 'aborted')
    await published
    assert.deepEqual(await states(), ['whole'])
  })

  it('of a list that cannot be read: each blade sends its own anew, until a scrub has hashed everything', async () => {
    await backUpLying('blade01', 1)
    await store.close()
    const folder = join(place.dir, 'state')
    const [list = ''] = listsIn(folder)
    rmSync(join(folder, list))
    mkdirSync(join(folder, list))
    store = place.open()
    const session = await beginBackup(as('blade01'), backupOf(2))
    assert.deepEqual(await session.missing([ID]), [ID])
    await sendChunks(session, [1, 2, 3])
    await session.publish(draftOf(backupOf(2)))
    assert.deepEqual(await states(), ['whole', 'whole'], 'what was sent anew was hashed')
    await place.clock.advance(1000)
    await store.scrub({ signal: never, rateBytes: 0 })
    assert.deepEqual(listsIn(folder), [])
    const next = await beginBackup(as('blade02'), { ...backupOf(3) })
    assert.deepEqual(await next.missing([ID]), [])
    await next.abort()
  })

  it('brought again behind the place of a scrub make no restore point hashed', async () => {
    await backUp(as('blade01'), backupOf(1))
    await store.prove(never)
    await store.scrub({ signal: never, rateBytes: 0 })
    const [point] = await store.points()
    const checkedAt = point?.checkedAt ?? 0
    assert.ok(checkedAt > 0)
    await place.clock.advance(1000)
    const stop = new AbortController()
    await store.scrub({ signal: stop.signal, rateBytes: 0, onProgress: () => stop.abort() })
    const [first = ''] = [1, 2, 3].map(seed => makeChunk(seed).id).sort()
    rmSync(join(place.dir, 'store', chunkPath(first)))
    const again = await beginBackup(as('blade02'), backupOf(2))
    await sendChunks(again, [1, 2, 3])
    await again.abort()
    await store.scrub({ signal: never, rateBytes: 0 })
    assert.deepEqual(
      (await store.points()).map(each => each.checkedAt),
      [checkedAt],
    )
  })

  it('that a scrub has hashed are proven by it', async () => {
    await backUp(as('blade01'), backupOf(1))
    await store.scrub({ signal: never, rateBytes: 0 })
    assert.equal((await store.status()).unproven, 0)
    assert.ok(((await store.points())[0]?.checkedAt ?? 0) > 0)
    assert.deepEqual(await store.prove(never), { chunks: 0, bad: [], finished: true })
  })

  it('wait while a backup comes in: the next proof goes on', async () => {
    await backUp(as('blade01'), backupOf(1))
    const session = await beginBackup(as('blade01'), backupOf(2))
    assert.equal((await store.prove(never)).finished, false)
    assert.equal((await store.status()).unproven, 3)
    await session.abort()
    assert.equal((await store.prove(never)).finished, true)
  })

  it('that spoil on the disk before they are proven are found like any other', async () => {
    await backUp(as('blade01'), backupOf(1))
    spoilChunk(place.dir, ID)
    assert.deepEqual((await store.prove(never)).bad, [ID])
    assert.deepEqual(await states(), ['damaged'])
  })
})
