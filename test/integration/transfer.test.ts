import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type FingerprintFolder, openFingerprintFolder } from '../../agent/backup/transfer/fingerprints.ts'
import { createInlineTransfer } from '../../agent/backup/transfer/inline-transfer.ts'
import { createWorkerTransfer } from '../../agent/backup/transfer/worker-transfer.ts'
import type { BackupJob, ReadJob, RestoreJob, Transfer, VaultAccess } from '../../agent/backup/transfer.ts'
import { chunkPath } from '../../agent/vault/format/chunk.ts'
import { parseIndex } from '../../agent/vault/format/index.ts'
import { formatPoint } from '../../agent/vault/format/point.ts'
import type { VaultStore } from '../../agent/vault/store/vault-store.ts'
import type { Vault } from '../../agent/vault/vault.ts'
import { systemClock } from '../../shared/clock.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { silentLogger } from '../../shared/log.ts'
import { until } from '../fakes/until.ts'
import { FIRST_NIGHT, makeVaultDir, spoilChunk, type VaultDir, vmId } from '../fakes/vault-dir.ts'
import { type OpenDoor, openDoor } from '../fakes/vault-door.ts'

const CHUNK = 64 * 1024
const CHUNKS = 40
const SIZE = CHUNK * CHUNKS - 1000
const DAY_MS = 86_400_000
const VM = { id: vmId(1), name: 'web01' }
const NETWORK: VaultAccess = {
  kind: 'network',
  name: '',
  address: '',
  identity: { certificatePem: '', privateKeyPem: '', authorityPem: '' },
}

let place: VaultDir
let store: VaultStore
let transfer: Transfer
let warnings: string[]
const doors: OpenDoor[] = []

beforeEach(() => {
  place = makeVaultDir()
  store = place.open()
  warnings = []
  transfer = transferTo(() => store.visibleTo('blade03', () => false))
})

afterEach(async () => {
  for (const door of doors.splice(0)) await door.close()
  await store.close()
  place.remove()
})

function transferTo(openVault: () => Vault, fingerprints?: FingerprintFolder): Transfer {
  return createInlineTransfer({
    openVault,
    fingerprints,
    clock: place.clock,
    threads: 2,
    warn: text => warnings.push(text),
  })
}

function pathOf(name: string): string {
  return join(dirname(place.dir), name)
}

/** A disk whose chunks differ by their number, but for a hole of zeroes and two that are the same. */
function makeDisk(name = 'disk'): string {
  const path = pathOf(name)
  writeFileSync(path, '')
  truncateSync(path, SIZE)
  for (let chunk = 0; chunk < CHUNKS - 1; chunk++) {
    if (chunk < 10 || chunk >= 20) writeChunk(path, chunk, chunk === 30 ? 31 : chunk)
  }
  return path
}

function writeChunk(path: string, chunk: number, seed: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(CHUNK, `seed ${seed} `), 0, CHUNK, chunk * CHUNK)
  closeSync(file)
}

function backupOf(path: string, night: number, changed?: ReadJob['changed'], sizeBytes = SIZE): BackupJob {
  const at = FIRST_NIGHT + night * DAY_MS
  const disk = { target: 'vda', sizeBytes, chunkBytes: CHUNK }
  return {
    kind: 'backup',
    vault: NETWORK,
    rateLimitBytes: 0,
    draft: {
      vm: VM,
      point: formatPoint(at),
      at,
      consistency: 'paused',
      pauseMs: 9,
      definition: '<domain/>',
      memoryBytes: 0,
      vcpus: 1,
      writer: 'test',
      disks: [{ ...disk, format: 'raw', storage: 'thin', pool: 'vg0/pool', path }],
    },
    reads: [{ ...disk, path, changed }],
  }
}

function restoreOf(night: number, path: string, readsZero = true): RestoreJob {
  return {
    kind: 'restore',
    vault: NETWORK,
    ref: { vmId: VM.id, point: formatPoint(FIRST_NIGHT + night * DAY_MS) },
    writes: [{ target: 'vda', path, readsZero }],
    checked: false,
  }
}

function quietly() {
  return { signal: new AbortController().signal }
}

function changedSince(night: number, ...chunks: number[]): NonNullable<ReadJob['changed']> {
  const ranges = chunks.map(chunk => ({ fromBytes: chunk * CHUNK + 10, toBytes: chunk * CHUNK + 20 }))
  return { basePoint: formatPoint(FIRST_NIGHT + night * DAY_MS), ranges }
}

async function idsOf(night: number): Promise<string[]> {
  const index = parseIndex(await store.index(restoreOf(night, '').ref, 'vda'))
  return Array.from({ length: index.count }, (_, position) => index.idAt(position))
}

test('a disk comes back byte by byte, and the file has holes where it had zeroes', async () => {
  const disk = makeDisk()
  const manifest = await transfer.backup(backupOf(disk, 0), quietly())
  assert.equal(manifest.figures.readBytes, SIZE)
  assert.equal(manifest.blade, 'blade03')
  const out = pathOf('out')
  writeFileSync(out, '')
  const figures = await transfer.restore(restoreOf(0, out), quietly())
  assert.equal(figures.writtenBytes, SIZE)
  assert.ok(readFileSync(disk).equals(readFileSync(out)))
  assert.ok(statSync(out).blocks * 512 <= SIZE - 9 * CHUNK, 'the zeroes were written')
})

test('where old bytes would shine through, zeroes are written', async () => {
  const disk = makeDisk()
  await transfer.backup(backupOf(disk, 0), quietly())
  const out = pathOf('out')
  writeFileSync(out, Buffer.alloc(SIZE, 'old data '))
  await transfer.restore(restoreOf(0, out, false), quietly())
  assert.ok(readFileSync(disk).equals(readFileSync(out)))
})

test('a target that should read zero and does not is found by reading back', async () => {
  await transfer.backup(backupOf(makeDisk(), 0), quietly())
  const out = pathOf('out')
  writeFileSync(out, Buffer.alloc(SIZE, 'old data '))
  await assert.rejects(transfer.restore(restoreOf(0, out), quietly()), {
    code: 'unavailable',
    message: /reads back other than was written/,
  })
})

test('the second night sends what changed, and reads only that where it is known', async () => {
  const disk = makeDisk()
  await transfer.backup(backupOf(disk, 0), quietly())
  writeChunk(disk, 5, 100)
  const all = await transfer.backup(backupOf(disk, 1), quietly())
  assert.equal(all.figures.readBytes, SIZE)
  writeChunk(disk, 6, 101)
  writeChunk(disk, 12, 102)
  const some = await transfer.backup(backupOf(disk, 2, changedSince(1, 6, 12)), quietly())
  assert.equal(some.figures.readBytes, 2 * CHUNK)
  const out = pathOf('out')
  writeFileSync(out, '')
  await transfer.restore(restoreOf(2, out), quietly())
  assert.ok(readFileSync(disk).equals(readFileSync(out)))
})

test('with fingerprints a changed night is what it is without them, and a chunk the vault has lost is healed', async () => {
  const visible = () => store.visibleTo('blade03', () => false)
  const remembering = transferTo(visible, openFingerprintFolder(pathOf('fingerprints')))
  const disk = makeDisk()
  await remembering.backup(backupOf(disk, 0), quietly())
  writeChunk(disk, 5, 500)
  writeChunk(disk, 12, 501)
  const ids = await idsOf(0)
  // Not changed, and not there any more.
  rmSync(join(place.dir, 'store', chunkPath(ids[7] ?? '')))
  const second = await remembering.backup(backupOf(disk, 1), quietly())
  assert.equal(second.figures.readBytes, SIZE)
  await transfer.backup(backupOf(disk, 2), quietly())
  assert.deepEqual(await idsOf(1), await idsOf(2))
  assert.notDeepEqual(await idsOf(1), ids)
  const report = await store.check(restoreOf(1, '').ref, quietly())
  assert.deepEqual([report.bad, report.problems], [[], []])
  assert.deepEqual(warnings, [])
})

test('what did not change since last night is asked about at once, what did change with its bytes at hand', async () => {
  const asked: (readonly string[])[] = []
  const listening = (): Vault => {
    const vault = store.visibleTo('blade03', () => false)
    const begin: Vault['begin'] = async request => {
      const session = await vault.begin(request)
      const missing = async (ids: readonly string[]) => {
        asked.push(ids)
        return await session.missing(ids)
      }
      return { ...session, missing }
    }
    return { ...vault, begin }
  }
  const remembering = transferTo(listening, openFingerprintFolder(pathOf('fingerprints')))
  const disk = makeDisk()
  await remembering.backup(backupOf(disk, 0), quietly())
  writeChunk(disk, 5, 500)
  asked.length = 0
  await remembering.backup(backupOf(disk, 1), quietly())
  const [before, after] = [await idsOf(0), await idsOf(1)]
  const [likely = [], ...others] = asked
  // Neither the zeroes nor the second of two that are the same.
  assert.equal(likely.length, CHUNKS - 10 - 1 - 1)
  assert.ok(likely.every(id => before.includes(id)))
  // What changed, and zeroes of either length.
  assert.deepEqual(
    others.map(ids => [...ids].sort()),
    [[after[5], after[10], after[39]].sort()],
  )
})

test('a host that cannot keep fingerprints says so, and its backup is as good', async () => {
  const folder = pathOf('fingerprints')
  writeFileSync(folder, 'a file where the folder should be')
  const visible = () => store.visibleTo('blade03', () => false)
  const remembering = transferTo(visible, openFingerprintFolder(folder))
  const manifest = await remembering.backup(backupOf(makeDisk(), 0), quietly())
  assert.equal(manifest.figures.readBytes, SIZE)
  assert.match(warnings.join(), /vda: the next night hashes all of it again/)
})

test('a chunk the vault has lost is read again though it did not change, and so healed', async () => {
  const disk = makeDisk()
  await transfer.backup(backupOf(disk, 0), quietly())
  const lost = (await idsOf(0))[7] ?? ''
  rmSync(join(place.dir, 'store', chunkPath(lost)))
  const healed = await transfer.backup(backupOf(disk, 1, changedSince(0)), quietly())
  assert.equal(healed.figures.readBytes, CHUNK)
  assert.deepEqual((await store.check(restoreOf(0, '').ref, quietly())).bad, [])
})

test('a base that lies is found out when a lost chunk is read: then all is read, and a person is told', async () => {
  const disk = makeDisk()
  await transfer.backup(backupOf(disk, 0), quietly())
  for (const chunk of [7, 8]) rmSync(join(place.dir, 'store', chunkPath((await idsOf(0))[chunk] ?? '')))
  writeChunk(disk, 7, 200)
  writeChunk(disk, 25, 201)
  const manifest = await transfer.backup(backupOf(disk, 1, changedSince(0)), quietly())
  assert.ok(manifest.figures.readBytes >= SIZE)
  assert.match(warnings.join(), /vda: not as in 20261128T020512Z where it did not change; all is read/)
  const out = pathOf('out')
  writeFileSync(out, '')
  await transfer.restore(restoreOf(1, out), quietly())
  assert.ok(readFileSync(disk).equals(readFileSync(out)))
})

test('a base that is gone, and a disk that has grown, are read as far as needed', async () => {
  const disk = makeDisk()
  const blind = await transfer.backup(backupOf(disk, 0, changedSince(-3)), quietly())
  assert.equal(blind.figures.readBytes, SIZE)
  assert.match(warnings.join(), /cannot be used/)
  truncateSync(disk, SIZE + 3 * CHUNK)
  writeChunk(disk, CHUNKS, 300)
  const grown = await transfer.backup(backupOf(disk, 1, changedSince(0), SIZE + 3 * CHUNK), quietly())
  // The last chunk of the base was a short one.
  assert.equal(grown.figures.readBytes, SIZE + 3 * CHUNK - (CHUNKS - 1) * CHUNK)
  const out = pathOf('out')
  writeFileSync(out, '')
  await transfer.restore(restoreOf(1, out), quietly())
  assert.ok(readFileSync(disk).equals(readFileSync(out)))
})

test('a disk that is shorter than it should be, or cannot be opened, ends the backup with the place', async () => {
  const disk = makeDisk()
  await assert.rejects(transfer.backup(backupOf(disk, 0, undefined, SIZE + CHUNK), quietly()), {
    code: 'unavailable',
    message: /disk ends at byte/,
  })
  await assert.rejects(transfer.backup(backupOf(pathOf('none'), 0), quietly()), {
    code: 'unavailable',
    message: /cannot open .*none/,
  })
  assert.deepEqual(await store.points(), [])
  assert.equal((await store.status()).sessions, 0)
})

test('damaged data is refused before the first byte of the target is touched', async () => {
  await transfer.backup(backupOf(makeDisk(), 0), quietly())
  const bad = (await idsOf(0))[38] ?? ''
  spoilChunk(place.dir, bad)
  const out = pathOf('out')
  writeFileSync(out, 'untouched')
  await assert.rejects(
    transfer.restore(restoreOf(0, out), quietly()),
    (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'refused')
      assert.match(error.details.join(), new RegExp(bad))
      return true
    },
  )
  assert.equal(readFileSync(out, 'utf8'), 'untouched')
})

test('a flipped byte of a chunk is found by its checksum: the restore is refused, the chunk in quarantine', async () => {
  await transfer.backup(backupOf(makeDisk(), 0), quietly())
  const bad = (await idsOf(0))[25] ?? ''
  const path = join(place.dir, 'store', chunkPath(bad))
  const frame = readFileSync(path)
  frame.writeUInt8(frame.readUInt8(frame.length >> 1) ^ 4, frame.length >> 1)
  chmodSync(path, 0o644)
  writeFileSync(path, frame)
  const out = pathOf('out')
  writeFileSync(out, 'untouched')
  await assert.rejects(transfer.restore(restoreOf(0, out), quietly()), { code: 'refused' })
  assert.equal(readFileSync(out, 'utf8'), 'untouched')
  assert.deepEqual(readdirSync(join(place.dir, 'quarantine')), [bad])
})

/** Puts a whole chunk under the name of another. */
async function mistakeChunk(): Promise<void> {
  const [one, other] = [(await idsOf(0))[25] ?? '', (await idsOf(0))[26] ?? '']
  const [path, wrong] = [one, other].map(id => join(place.dir, 'store', chunkPath(id))) as [string, string]
  const frame = readFileSync(wrong)
  chmodSync(path, 0o644)
  writeFileSync(path, frame)
}

test('a whole chunk under the name of another that the vault has not hashed yet is found before anything is touched', async () => {
  await transfer.backup(backupOf(makeDisk(), 0), quietly())
  await mistakeChunk()
  const out = pathOf('out')
  writeFileSync(out, 'as it was')
  await assert.rejects(transfer.restore(restoreOf(0, out), quietly()), {
    code: 'refused',
    message: /is damaged/,
  })
  assert.equal(readFileSync(out, 'utf8'), 'as it was')
})

test('a whole chunk under the name of another passes the quick check, and is found by reading back', async () => {
  await transfer.backup(backupOf(makeDisk(), 0), quietly())
  await store.prove(new AbortController().signal)
  await mistakeChunk()
  const out = pathOf('out')
  writeFileSync(out, '')
  await assert.rejects(transfer.restore(restoreOf(0, out), quietly()), {
    code: 'unavailable',
    message: /reads back other than was written/,
  })
})

test('a stopped backup leaves nothing listed and no session', async () => {
  const stop = new AbortController()
  const backup = transfer.backup(backupOf(makeDisk(), 0), {
    signal: stop.signal,
    onProgress: () => stop.abort(),
  })
  await assert.rejects(backup, { code: 'aborted' })
  assert.deepEqual(await store.points(), [])
  assert.equal((await store.status()).sessions, 0)
})

test('a disk of nothing but zeroes asks for nothing, and still says each few minutes that the backup goes on', async () => {
  const path = pathOf('zeroes')
  writeFileSync(path, '')
  truncateSync(path, SIZE)
  let signs = 0
  let now = FIRST_NIGHT
  const slow = createInlineTransfer({
    openVault: () => {
      const vault = store.visibleTo('blade03', () => false)
      const begin: Vault['begin'] = async request => {
        const session = await vault.begin(request)
        const missing: typeof session.missing = async ids => {
          if (ids.length === 0) signs += 1
          return await session.missing(ids)
        }
        return { ...session, missing }
      }
      return { ...vault, begin }
    },
    clock: { ...place.clock, now: () => now },
    threads: 1,
    warn: text => warnings.push(text),
  })
  // Half a minute for each chunk: twenty minutes.
  const onProgress = () => {
    now += 30_000
  }
  await slow.backup(backupOf(path, 0), { ...quietly(), onProgress })
  assert.equal(signs, 10)
})

test('progress never goes back, and ends with all of it', async () => {
  const steps: number[] = []
  const onProgress = (done: number): void => void steps.push(done)
  await transfer.backup(backupOf(makeDisk(), 0), { ...quietly(), onProgress })
  assert.deepEqual(
    steps,
    [...steps].sort((a, b) => a - b),
  )
  assert.equal(steps.at(-1), SIZE)
  steps.length = 0
  const out = pathOf('out')
  writeFileSync(out, '')
  await transfer.restore(restoreOf(0, out), { ...quietly(), onProgress })
  assert.deepEqual(
    steps,
    [...steps].sort((a, b) => a - b),
  )
  assert.equal(steps.at(-1), SIZE)
})

test('a process of its own does the same over the network, and says what went wrong there', async () => {
  const door = await openDoor(store)
  doors.push(door)
  const worker = createWorkerTransfer({
    run: createCommandRunner(systemClock),
    clock: systemClock,
    log: silentLogger,
    fingerprints: pathOf('fingerprints'),
  })
  const identity = await door.identity('blade03')
  const vault: VaultAccess = { kind: 'network', name: 'depot', address: door.address, identity }
  const disk = makeDisk()
  const manifest = await worker.backup({ ...backupOf(disk, 0), vault }, quietly())
  assert.equal(manifest.blade, 'blade03')
  assert.ok(existsSync(join(pathOf('fingerprints'), VM.id, 'vda')))
  worker.forgetOthers([])
  assert.ok(!existsSync(join(pathOf('fingerprints'), VM.id)))
  const out = pathOf('out')
  writeFileSync(out, '')
  await worker.restore({ ...restoreOf(0, out), vault }, quietly())
  assert.ok(readFileSync(disk).equals(readFileSync(out)))
  await assert.rejects(worker.backup({ ...backupOf(pathOf('none'), 1), vault }, quietly()), {
    code: 'unavailable',
    message: /cannot open .*none/,
  })
})

test('a worker that is killed, and one whose agent wants no more, end their backup in the vault', async () => {
  const door = await openDoor(store)
  doors.push(door)
  const identity = await door.identity('blade03')
  const vault: VaultAccess = { kind: 'network', name: 'depot', address: door.address, identity }
  const runner = createCommandRunner(systemClock)
  let kill = (): void => {}
  const run = {
    ...runner,
    follow: (...[argv, options]: Parameters<typeof runner.follow>) => {
      const program = runner.follow(argv, options)
      kill = program.stop
      return program
    },
  }
  const worker = createWorkerTransfer({ run, clock: systemClock, log: silentLogger })
  // 64 KiB a second: it would take half a minute.
  const slow = (night: number): BackupJob => ({
    ...backupOf(makeDisk(), night),
    vault,
    rateLimitBytes: CHUNK,
  })
  const begun = async () => (await store.status()).sessions === 1
  const ended = async () => (await store.status()).sessions === 0

  const killed = worker.backup(slow(0), quietly())
  killed.catch(() => {})
  await until('the first backup has begun', begun)
  kill()
  await assert.rejects(killed)
  await until('the first backup has ended', ended)

  const stop = new AbortController()
  const stopped = worker.backup(slow(1), { signal: stop.signal })
  stopped.catch(() => {})
  await until('the second backup has begun', begun)
  stop.abort()
  await assert.rejects(stopped, { code: 'aborted' })
  await until('the second backup has ended', ended)
  assert.deepEqual(await store.points(), [])
})
