import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { VolumeExtent, VolumeInfo, Volumes } from '../../agent/storage/volumes.ts'
import { errorCode } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/** A blade's storage with room for about five volumes of `sizeBytes` in one pool, and nothing of this suite in it. */
export interface VolumesUnderTest {
  readonly volumes: Volumes
  readonly run: CommandRunner
  /** Describes a volume of that name that does not exist yet, of the kind this factory is for. */
  blank(name: string): VolumeInfo
  /** A volume made by an administrator, without our mark, full of bytes that are not zero where that is possible. */
  foreign(name: string): Promise<VolumeInfo>
  close(): Promise<void>
}

const MOVE = '3f1c8f0e-8b0c-4d8e-9f53-0d3b1c5a7e01'
const LATER_MOVE = '3f1c8f0e-8b0c-4d8e-9f53-0d3b1c5a7e02'

/** Every promise of agent/storage/volumes.ts in code; each kind of storage gets a run of its own. */
export function volumesContract(name: string, factory: () => Promise<VolumesUnderTest>): void {
  describe(`volumes contract: ${name}`, () => {
    let host: VolumesUnderTest
    beforeEach(async () => {
      host = await factory()
    })
    afterEach(async () => {
      await host.close()
    })
    arrivals(() => host)
    departures(() => host)
    bytes(() => host)
  })
}

function arrivals(get: () => VolumesUnderTest): void {
  it('a volume made for a move can be inspected, and is like the one at the source', async () => {
    const { volumes, run, blank } = get()
    const wanted = blank('web01')
    assert.deepEqual(await volumes.create(wanted, MOVE, run), [])
    const seen = await inspected(volumes, wanted.path)
    const { allocatedBytes: _wanted, ...identity } = wanted
    const { allocatedBytes: _seen, ...seenIdentity } = seen
    assert.deepEqual(seenIdentity, identity)
  })

  it('making it a second time for the same move changes nothing', async () => {
    const { volumes, run, blank } = get()
    const wanted = blank('web01')
    await volumes.create(wanted, MOVE, run)
    await volumes.write(wanted.path, listOf([{ offsetBytes: 0, data: Buffer.alloc(4096, 7) }]))
    assert.deepEqual(await volumes.create(wanted, MOVE, run), [])
    assert.equal((await content(volumes, wanted.path))[0], 7)
  })

  it('what belongs to anybody else is never taken over', async () => {
    const { volumes, run, blank, foreign } = get()
    const theirs = await foreign('db01')
    assert.equal(await codeOf(volumes.create(theirs, MOVE, run)), 'already-exists')
    const other = blank('web01')
    await volumes.create(other, MOVE, run)
    assert.equal(await codeOf(volumes.create(other, LATER_MOVE, run)), 'already-exists')
  })

  it('a volume of another move or of nobody survives discard', async () => {
    const { volumes, run, blank, foreign } = get()
    const theirs = await foreign('db01')
    await volumes.discard(theirs.path, MOVE, run).catch(() => undefined)
    await inspected(volumes, theirs.path)
    const other = blank('web01')
    await volumes.create(other, LATER_MOVE, run)
    await volumes.discard(other.path, MOVE, run).catch(() => undefined)
    await inspected(volumes, other.path)
  })

  it('discard leaves nothing behind, and may be repeated', async () => {
    const { volumes, run, blank } = get()
    const before = await volumes.pools()
    const wanted = blank('web01')
    await volumes.create(wanted, MOVE, run)
    await volumes.discard(wanted.path, MOVE, run)
    await volumes.discard(wanted.path, MOVE, run)
    assert.equal(await inspectError(volumes, wanted.path), 'disk-unreadable')
    assert.equal((await volumes.pools()).length, before.length)
    await volumes.create(wanted, LATER_MOVE, run)
  })

  it('once adopted it is its VM’s: a late discard of the same move does not touch it', async () => {
    const { volumes, run, blank } = get()
    const wanted = blank('web01')
    await volumes.create(wanted, MOVE, run)
    await volumes.adopt(wanted.path, MOVE, run)
    await volumes.adopt(wanted.path, MOVE, run)
    await volumes.discard(wanted.path, MOVE, run).catch(() => undefined)
    await inspected(volumes, wanted.path)
    assert.equal(await codeOf(volumes.create(wanted, MOVE, run)), 'already-exists')
  })

  it('a path outside the pools is refused, and nothing is made', async () => {
    const { volumes, run, blank } = get()
    const wanted = blank('web01')
    const outside = { ...wanted, path: wanted.path.replace(/[^/]+$/, '../../outside') }
    assert.equal(await codeOf(volumes.create(outside, MOVE, run)), 'refused')
  })

  it('a volume larger than its pool is refused, and no kept volume is dropped for it', async () => {
    const { volumes, run, blank, foreign } = get()
    const old = await foreign('db01')
    await volumes.keep(old.path, MOVE, run)
    const sizeBytes = Math.ceil((await poolOf(volumes, old)).sizeBytes / old.sizeBytes) * 2 * old.sizeBytes
    assert.equal(await codeOf(volumes.create({ ...blank('web01'), sizeBytes }, LATER_MOVE, run)), 'refused')
    assert.equal((await volumes.kept()).length, 1)
  })
}

function departures(get: () => VolumesUnderTest): void {
  it('a kept volume is listed, has left its path, and counts as room that can be had back', async () => {
    const { volumes, run, foreign } = get()
    const old = await foreign('db01')
    const kept = await volumes.keep(old.path, MOVE, run)
    assert.notEqual(kept, old.path)
    assert.equal(await inspectError(volumes, old.path), 'disk-unreadable')
    assert.deepEqual(await volumes.kept(), [
      { path: kept, pool: old.pool, sizeBytes: old.sizeBytes, moveId: MOVE },
    ])
    const pool = await poolOf(volumes, old)
    assert.ok(pool.reclaimableBytes > 0, `nothing reclaimable: ${JSON.stringify(pool)}`)
    assert.ok(pool.freeBytes + pool.reclaimableBytes <= pool.sizeBytes)
  })

  it('keep and its undo may be repeated, and bytes survive both', async () => {
    const { volumes, run, foreign } = get()
    const old = await foreign('db01')
    const before = await content(volumes, old.path)
    const kept = await volumes.keep(old.path, MOVE, run)
    assert.equal(await volumes.keep(old.path, MOVE, run), kept)
    await volumes.unkeep(old.path, MOVE, run)
    await volumes.unkeep(old.path, MOVE, run)
    assert.deepEqual(await volumes.kept(), [])
    assert.ok(before.equals(await content(volumes, old.path)))
  })

  it('the path is free for the VM to come back to while its old volume is kept', async () => {
    const { volumes, run, foreign } = get()
    const old = await foreign('db01')
    const kept = await volumes.keep(old.path, MOVE, run)
    await volumes.create({ ...old }, LATER_MOVE, run)
    await volumes.adopt(old.path, LATER_MOVE, run)
    assert.equal(await codeOf(volumes.unkeep(old.path, MOVE, run)), 'already-exists')
    assert.equal(await volumes.keep(old.path, MOVE, run), kept, 'already kept by that move')
    await inspected(volumes, old.path)
  })

  it('only what is marked kept can be dropped; dropping may be repeated', async () => {
    const { volumes, run, foreign } = get()
    const old = await foreign('db01')
    assert.equal(await codeOf(volumes.drop(old.path, run)), 'refused')
    const kept = await volumes.keep(old.path, MOVE, run)
    await volumes.drop(kept, run)
    await volumes.drop(kept, run)
    assert.deepEqual(await volumes.kept(), [])
  })

  it('two volumes kept by one move have two names', async () => {
    const { volumes, run, foreign } = get()
    const system = await foreign('db01')
    const data = await foreign('db01-data')
    const names = [await volumes.keep(system.path, MOVE, run), await volumes.keep(data.path, MOVE, run)]
    assert.equal(new Set(names).size, 2)
    assert.equal((await volumes.kept()).length, 2)
  })
}

function bytes(get: () => VolumesUnderTest): void {
  it('a copied volume reads as its source did, zeroes included', async () => {
    const { volumes, run, blank } = get()
    const source = blank('web01')
    const target = { ...blank('web02') }
    const KIB = 1024
    await volumes.create(source, MOVE, run)
    await volumes.write(
      source.path,
      listOf([
        { offsetBytes: 4 * KIB, data: Buffer.alloc(12 * KIB, 0xa5) },
        { offsetBytes: 1024 * KIB, data: Buffer.alloc(512, 0x5a) },
        { offsetBytes: source.sizeBytes - 4 * KIB, data: Buffer.alloc(4 * KIB, 3) },
      ]),
    )
    await volumes.create(target, MOVE, run)
    await volumes.write(target.path, volumes.read(source.path, new AbortController().signal))
    const expected = Buffer.alloc(source.sizeBytes)
    expected.fill(0xa5, 4 * KIB, 16 * KIB)
    expected.fill(0x5a, 1024 * KIB, 1024 * KIB + 512)
    expected.fill(3, source.sizeBytes - 4 * KIB)
    assert.ok(expected.equals(await content(volumes, target.path)), 'the copy differs')
  })

  it('what the disk held before never shows through where the source has zeroes', async () => {
    const { volumes, run, blank, foreign } = get()
    // Fills extents of the pool with old bytes, then frees them for the new volume.
    const old = await foreign('db01')
    await volumes.drop(await volumes.keep(old.path, LATER_MOVE, run), run)
    const target = blank('web01')
    await volumes.create(target, MOVE, run)
    await volumes.write(target.path, listOf([{ offsetBytes: 4096, data: Buffer.alloc(4096, 9) }]))
    const seen = await content(volumes, target.path)
    const expected = Buffer.alloc(seen.length)
    expected.fill(9, 4096, 8192)
    assert.ok(expected.equals(seen), 'old bytes show through')
  })

  it('an aborted read stops with aborted', async () => {
    const { volumes, foreign } = get()
    const old = await foreign('db01')
    assert.equal(await codeOf(drain(volumes.read(old.path, AbortSignal.abort()))), 'aborted')
  })

  it('another process may write what was made for it, and nothing else', async () => {
    const { volumes, run, blank, foreign } = get()
    const target = blank('web01')
    await volumes.create(target, MOVE, run)
    const access = await volumes.directAccess(target.path, MOVE)
    assert.notEqual(access.path, '')
    assert.equal(await codeOf(volumes.directAccess(target.path, LATER_MOVE)), 'refused')
    const somebodys = await foreign('db01')
    assert.equal(await codeOf(volumes.directAccess(somebodys.path, MOVE)), 'refused')
    await volumes.adopt(target.path, MOVE, run)
    assert.equal(await codeOf(volumes.directAccess(target.path, MOVE)), 'refused')
  })

  it('an extent past the end is refused and the volume does not grow', async () => {
    const { volumes, run, blank } = get()
    const target = blank('web01')
    await volumes.create(target, MOVE, run)
    const past = listOf([{ offsetBytes: target.sizeBytes - 512, data: Buffer.alloc(1024, 1) }])
    assert.equal(await codeOf(volumes.write(target.path, past)), 'bad-input')
    assert.equal((await inspected(volumes, target.path)).sizeBytes, target.sizeBytes)
  })
}

async function inspected(volumes: Volumes, path: string): Promise<VolumeInfo> {
  const info = (await volumes.inspect([path])).get(path)
  assert.ok(info !== undefined && !('error' in info), `${path}: ${JSON.stringify(info)}`)
  return info
}

async function inspectError(volumes: Volumes, path: string): Promise<string> {
  const info = (await volumes.inspect([path])).get(path)
  assert.ok(info !== undefined && 'error' in info, `${path} is still there`)
  return info.code
}

async function poolOf(volumes: Volumes, volume: VolumeInfo) {
  const pools = await volumes.pools()
  const pool = pools.find(({ name, storage }) => name === volume.pool && storage === volume.storage)
  assert.ok(pool, `no pool ${volume.pool} in ${JSON.stringify(pools)}`)
  return pool
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'no error',
    (error: unknown) => errorCode(error),
  )
}

async function* listOf(extents: readonly VolumeExtent[]): AsyncIterable<VolumeExtent> {
  yield* extents
}

async function drain(extents: AsyncIterable<VolumeExtent>): Promise<number> {
  let bytesRead = 0
  for await (const { data } of extents) bytesRead += data.length
  return bytesRead
}

/** The whole volume as read() tells it: what it leaves out is zero. */
async function content(volumes: Volumes, path: string): Promise<Buffer> {
  const { sizeBytes } = await inspected(volumes, path)
  const whole = Buffer.alloc(sizeBytes)
  for await (const { offsetBytes, data } of volumes.read(path, new AbortController().signal)) {
    data.copy(whole, offsetBytes)
  }
  return whole
}
