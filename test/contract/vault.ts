import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { PointRef } from '../../agent/vault/format/point.ts'
import type { Chunk, Vault } from '../../agent/vault/vault.ts'
import { errorCode } from '../../shared/errors.ts'
import {
  type BackupOfSeeds,
  backUp,
  beginBackup,
  draftOf,
  FIRST_NIGHT,
  indexOf,
  makeChunk,
  sendChunks,
  VAULT_NOW,
  vmId,
} from '../fakes/vault-dir.ts'

/** An empty vault that takes two backups at once, does not trust its writers, and has room. */
export interface VaultUnderTest {
  readonly vault: Vault
  /** What its manifests must say of their writer. */
  readonly blade: string
  /** Puts other bytes under the name of a chunk, behind the vault's back. */
  spoil(id: string): void
  close(): Promise<void>
}

const FIRST: BackupOfSeeds = { seeds: [1, 2, 3, 1] }
const REF: PointRef = { vmId: vmId(1), point: draftOf(FIRST).point }
const DAY_MS = 86_400_000

/** Every promise of agent/vault/vault.ts in code, for a directory and for a vault over the network. */
export function vaultContract(name: string, factory: () => Promise<VaultUnderTest>): void {
  describe(`vault contract: ${name}`, () => {
    let host: VaultUnderTest
    beforeEach(async () => {
      host = await factory()
    })
    afterEach(async () => {
      await host.close()
    })
    comingIn(() => host)
    refusals(() => host)
    repeated(() => host)
    reading(() => host)
    checking(() => host)
  })
}

function comingIn(get: () => VaultUnderTest): void {
  it('a backup is listed when it was published, and not a step earlier', async () => {
    const { vault, blade } = get()
    const session = await beginBackup(vault, FIRST)
    await sendChunks(session, FIRST.seeds)
    assert.deepEqual(await vault.points(), [])
    const listed = await session.publish(draftOf(FIRST))
    const [point] = await vault.points()
    assert.deepEqual(point?.manifest, listed)
    assert.equal(listed.blade, blade)
    assert.deepEqual([point?.vm, point?.state, point?.stateText], ['vm1', 'whole', ''])
    assert.deepEqual([point?.checkedAt, point?.boot], [0, undefined])
  })

  it('what it added to the vault is in its manifest', async () => {
    const { vault } = get()
    const first = await backUp(vault, FIRST)
    assert.ok(first.figures.storedBytes > 0)
    const second = await backUp(vault, { ...FIRST, at: FIRST_NIGHT + DAY_MS })
    assert.equal(second.figures.storedBytes, 0)
  })

  it('missing names what the vault lacks, in the order asked', async () => {
    const { vault } = get()
    await backUp(vault, FIRST)
    const session = await beginBackup(vault, { vm: 2, seeds: [] })
    const ids = [9, 3, 8, 1, 7].map(seed => makeChunk(seed).id)
    assert.deepEqual(await session.missing(ids), [ids[0], ids[2], ids[4]])
    await session.put([makeChunk(8)])
    assert.deepEqual(await session.missing(ids), [ids[0], ids[4]])
    assert.deepEqual(await session.missing([]), [])
    await session.abort()
  })

  it('the newest of each VM comes first, and one VM can be asked for', async () => {
    const { vault } = get()
    for (const [vm, day] of [
      [2, 0],
      [1, 1],
      [1, 0],
    ] as const) {
      await backUp(vault, { vm, at: FIRST_NIGHT + day * DAY_MS, seeds: [vm] })
    }
    const names = async (id?: string) => (await vault.points(id)).map(point => `${point.vm} ${point.point}`)
    assert.deepEqual(await names(), ['vm1 20261129T020512Z', 'vm1 20261128T020512Z', 'vm2 20261128T020512Z'])
    assert.deepEqual(await names(vmId(2)), ['vm2 20261128T020512Z'])
    assert.deepEqual(await names(vmId(3)), [])
  })

  it('an aborted backup lists nothing; abort may be repeated, and after it nothing is taken', async () => {
    const { vault } = get()
    const session = await beginBackup(vault, FIRST)
    await sendChunks(session, FIRST.seeds)
    await session.abort()
    await session.abort()
    assert.deepEqual(await vault.points(), [])
    assert.notEqual(await codeOf(session.put([makeChunk(1)])), undefined)
    assert.notEqual(await codeOf(session.publish(draftOf(FIRST))), undefined)
    assert.deepEqual(await vault.points(), [])
    await backUp(vault, FIRST)
  })
}

function refusals(get: () => VaultUnderTest): void {
  it('what is no frame is refused and not kept', async () => {
    const { vault } = get()
    const session = await beginBackup(vault, FIRST)
    const noise: Chunk = { id: makeChunk(1).id, frame: Buffer.from('this is no zstd frame') }
    assert.equal(await codeOf(session.put([noise])), 'bad-input')
    assert.deepEqual(await session.missing([makeChunk(1).id]), [makeChunk(1).id])
    await session.abort()
  })

  for (const depth of ['quick', 'full'] as const) {
    it(`a frame under the name of another is refused at once, or found by a ${depth} check before it is restored`, async () => {
      const { vault, blade } = get()
      const session = await beginBackup(vault, FIRST)
      const { id } = makeChunk(1)
      const answer = await codeOf(session.put([{ id, frame: makeChunk(2).frame }]))
      if (blade === '') {
        assert.equal(answer, 'bad-input', 'a writer on this host is looked at as it writes')
        assert.deepEqual(await session.missing([id]), [id])
        await session.abort()
        return
      }
      assert.equal(answer, undefined)
      await session.put([makeChunk(2), makeChunk(3)])
      await session.putIndex('vda', indexOf(FIRST.seeds))
      await session.publish(draftOf(FIRST))
      const report = await vault.check(REF, { depth, signal: new AbortController().signal })
      assert.deepEqual(report.bad, [id])
      const [point] = await vault.points()
      assert.equal(point?.state, 'damaged')
      await backUp(vault, { ...FIRST, at: FIRST_NIGHT + DAY_MS })
      assert.deepEqual(
        (await vault.points()).map(({ state }) => state),
        ['whole', 'whole'],
        'the next backup heals it',
      )
    })
  }

  it('a restore point with a chunk that never came is refused; it may come later', async () => {
    const { vault } = get()
    const session = await beginBackup(vault, FIRST)
    await session.put([makeChunk(1), makeChunk(2)])
    await session.putIndex('vda', indexOf(FIRST.seeds))
    assert.equal(await codeOf(session.publish(draftOf(FIRST))), 'refused')
    assert.deepEqual(await vault.points(), [])
    await session.put([makeChunk(3)])
    await session.publish(draftOf(FIRST))
    assert.equal((await vault.points()).length, 1)
  })

  it('a restore point without its index, with another one or with a damaged one is refused', async () => {
    const { vault } = get()
    const session = await beginBackup(vault, FIRST)
    await session.put([1, 2, 3].map(seed => makeChunk(seed)))
    assert.equal(await codeOf(session.publish(draftOf(FIRST))), 'bad-input')
    assert.equal(await codeOf(session.putIndex('vda', indexOf(FIRST.seeds).subarray(0, 200))), 'bad-input')
    await session.putIndex('vda', indexOf([3, 2, 1, 1]))
    assert.equal(await codeOf(session.publish(draftOf(FIRST))), 'bad-input')
    assert.deepEqual(await vault.points(), [])
    await session.putIndex('vda', indexOf(FIRST.seeds))
    await session.publish(draftOf(FIRST))
  })

  it('names that would leave the directory of the vault are refused', async () => {
    const { vault } = get()
    const { vm, point } = draftOf(FIRST)
    const bad = [
      { vm: { ...vm, id: '../../../../etc/cron.d/vault' }, point },
      { vm, point: '../20261128T020512Z' },
      { vm: { ...vm, name: 'a/b' }, point },
    ]
    for (const request of bad) {
      assert.equal(await codeOf(vault.begin({ ...request, nowAt: VAULT_NOW })), 'bad-input')
    }
    const session = await beginBackup(vault, FIRST)
    assert.equal(await codeOf(session.missing(['../../etc/passwd'])), 'bad-input')
    assert.equal(await codeOf(session.putIndex('../vda', indexOf([1]))), 'bad-input')
    await session.abort()
    assert.equal(await codeOf(vault.manifest({ vmId: '..', point: '.' })), 'not-found')
  })

  it('a third backup at once is told to come later', async () => {
    const { vault } = get()
    const first = await beginBackup(vault, FIRST)
    const second = await beginBackup(vault, { ...FIRST, vm: 2 })
    assert.equal(await codeOf(beginBackup(vault, { ...FIRST, vm: 3 })), 'busy')
    await first.abort()
    const third = await beginBackup(vault, { ...FIRST, vm: 3 })
    await third.abort()
    await second.abort()
  })
}

function repeated(get: () => VaultUnderTest): void {
  it('publishing again what is listed is no error: the answer to the first may have been lost', async () => {
    const { vault } = get()
    const session = await beginBackup(vault, FIRST)
    await sendChunks(session, FIRST.seeds)
    const listed = await session.publish(draftOf(FIRST))
    assert.deepEqual(await session.publish(draftOf(FIRST)), listed)
    assert.deepEqual(await backUp(vault, FIRST), listed)
    assert.equal((await vault.points()).length, 1)
  })

  it('another backup of the same name is refused and changes nothing', async () => {
    const { vault } = get()
    const listed = await backUp(vault, FIRST)
    assert.equal(await codeOf(backUp(vault, { seeds: [7, 8, 9, 9] })), 'already-exists')
    assert.deepEqual(await vault.manifest(REF), listed)
  })

  it('the same chunk may be put again and again', async () => {
    const { vault } = get()
    const session = await beginBackup(vault, FIRST)
    await session.put([makeChunk(1), makeChunk(1)])
    await session.put([makeChunk(1), makeChunk(2), makeChunk(3)])
    await session.putIndex('vda', indexOf(FIRST.seeds))
    await session.publish(draftOf(FIRST))
    const { id, frame } = makeChunk(1)
    assert.deepEqual(await vault.chunks(REF, [id]), [{ id, frame }])
  })
}

function reading(get: () => VaultUnderTest): void {
  it('manifest, index and chunks come back as they were sent', async () => {
    const { vault } = get()
    const listed = await backUp(vault, FIRST)
    assert.deepEqual(await vault.manifest(REF), listed)
    assert.deepEqual(await vault.index(REF, 'vda'), indexOf(FIRST.seeds))
    const wanted = [3, 1, 2].map(seed => makeChunk(seed))
    const found = await vault.chunks(
      REF,
      wanted.map(({ id }) => id),
    )
    assert.deepEqual(found, wanted)
  })

  it('chunks lie in memory that is brought, again and again, and beside it when it is too small', async () => {
    const { vault } = get()
    await backUp(vault, FIRST)
    const wanted = [3, 1, 2].map(seed => makeChunk(seed))
    const ids = wanted.map(({ id }) => id)
    const enough = Buffer.alloc(1024 * 1024)
    for (let count = 0; count < 3; count++) {
      const found = await vault.chunks(REF, ids, enough)
      assert.deepEqual(found, wanted)
      assert.ok(found.every(({ frame }) => frame.buffer === enough.buffer))
    }
    for (const bytes of [0, wanted[0]?.frame.length ?? 0]) {
      assert.deepEqual(await vault.chunks(REF, ids, Buffer.alloc(bytes)), wanted)
    }
  })

  it('what is not there is not found; nor is a chunk of another restore point', async () => {
    const { vault } = get()
    await backUp(vault, FIRST)
    await backUp(vault, { vm: 2, seeds: [8] })
    assert.equal(await codeOf(vault.manifest({ ...REF, point: '20200101T000000Z' })), 'not-found')
    assert.equal(await codeOf(vault.index(REF, 'vdb')), 'not-found')
    assert.equal(await codeOf(vault.chunks(REF, [makeChunk(8).id])), 'not-found')
    assert.equal(await codeOf(vault.check({ ...REF, vmId: vmId(9) }, quietly())), 'not-found')
  })
}

function checking(get: () => VaultUnderTest): void {
  it('a check of a whole restore point hashes each of its chunks once', async () => {
    const { vault } = get()
    await backUp(vault, FIRST)
    const steps: [number, number][] = []
    const report = await vault.check(REF, {
      ...quietly(),
      onProgress: (done, total) => steps.push([done, total]),
    })
    assert.deepEqual(report, { chunks: 3, bad: [], problems: [] })
    assert.deepEqual(steps.at(-1), [3 * 4096, 3 * 4096])
    assert.notEqual((await vault.points())[0]?.checkedAt, 0)
  })

  it('a check names a spoiled chunk; every restore point it touches is damaged until a backup brings it again', async () => {
    const { vault, spoil } = get()
    await backUp(vault, FIRST)
    await backUp(vault, { seeds: [2, 4], at: FIRST_NIGHT + DAY_MS })
    await backUp(vault, { seeds: [5], vm: 2 })
    spoil(makeChunk(2).id)
    const report = await vault.check(REF, quietly())
    assert.deepEqual(report.bad, [makeChunk(2).id])
    const states = async () => (await vault.points()).map(point => `${point.vm} ${point.state}`)
    assert.deepEqual(await states(), ['vm1 damaged', 'vm1 damaged', 'vm2 whole'])
    assert.match((await vault.points())[0]?.stateText ?? '', /vm1@20261128T020512Z/)
    await backUp(vault, { seeds: [2, 4], at: FIRST_NIGHT + 2 * DAY_MS })
    assert.deepEqual(await states(), ['vm1 whole', 'vm1 whole', 'vm1 whole', 'vm2 whole'])
  })

  it('a quick check finds the same, and is not taken for a full one', async () => {
    const { vault, spoil } = get()
    await backUp(vault, FIRST)
    const quick = { ...quietly(), depth: 'quick' } as const
    assert.deepEqual(await vault.check(REF, quick), { chunks: 3, bad: [], problems: [] })
    assert.equal((await vault.points())[0]?.checkedAt, 0)
    spoil(makeChunk(2).id)
    assert.deepEqual((await vault.check(REF, quick)).bad, [makeChunk(2).id])
    assert.equal((await vault.points())[0]?.state, 'damaged')
  })

  it('a check can be stopped', async () => {
    const { vault } = get()
    await backUp(vault, FIRST)
    assert.equal(await codeOf(vault.check(REF, { signal: AbortSignal.abort() })), 'aborted')
  })
}

function quietly(): { readonly signal: AbortSignal } {
  return { signal: new AbortController().signal }
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    return errorCode(error)
  }
}
