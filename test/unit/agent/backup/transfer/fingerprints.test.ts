import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import fc from 'fast-check'
import {
  dropFingerprintsOfOthers,
  type Fingerprints,
  openFingerprintFolder,
} from '../../../../../agent/backup/transfer/fingerprints.ts'
import { createInlineTransfer } from '../../../../../agent/backup/transfer/inline-transfer.ts'
import type { BackupJob } from '../../../../../agent/backup/transfer.ts'
import { createAlignedBuffers } from '../../../../../agent/vault/format/aligned.ts'
import type { Vault } from '../../../../../agent/vault/vault.ts'
import { type ErrorCode, LifeboatError } from '../../../../../shared/errors.ts'
import { createManualClock } from '../../../../fakes/manual-clock.ts'

const CHUNK = 64
const VM = 'vm-1'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-fingerprints-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const fileOf = (vmId = VM) => join(folder, vmId, 'vda')
const open = (count: number, chunkBytes = CHUNK) =>
  openFingerprintFolder(folder).open(VM, 'vda', { count, chunkBytes })
const sha256 = (bytes: Buffer) => hash('sha256', bytes, 'hex')

/** Reads a disk of such chunks, as a night does. */
function night(chunks: readonly Buffer[], fingerprints: Fingerprints): void {
  for (const [position, bytes] of chunks.entries()) {
    assert.equal(fingerprints.idOf(position, bytes), sha256(bytes), `chunk ${position}`)
  }
  fingerprints.save()
}

test('whatever changes from night to night, each chunk has the id of its bytes', () => {
  // Few different ones, so that they come again, elsewhere and later.
  const chunk = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(CHUNK, CHUNK, CHUNK - 1))
  const disk = fc.array(chunk, { maxLength: 8 })
  fc.assert(
    fc.property(fc.array(disk, { minLength: 2, maxLength: 5 }), nights => {
      rmSync(fileOf(), { force: true })
      for (const chunks of nights) {
        night(
          chunks.map(([fill, length]) => Buffer.alloc(length, fill)),
          open(chunks.length),
        )
      }
    }),
    { seed: 1128 },
  )
})

test('a chunk that did not change is not hashed: what is remembered of it is believed', () => {
  const same = Buffer.alloc(CHUNK, 'same')
  night([same, Buffer.alloc(CHUNK, 'before')], open(2))
  // Another id in its place tells whether it is looked up.
  const file = readFileSync(fileOf())
  const content = file.subarray(0, -32)
  const at = content.indexOf(sha256(same), 0, 'hex')
  assert.ok(at > 0)
  content.fill(0xab, at, at + 32)
  writeFileSync(fileOf(), Buffer.concat([content, hash('sha256', content, 'buffer')]))

  const next = open(2)
  assert.equal(next.idOf(0, same), 'ab'.repeat(32))
  const changed = Buffer.alloc(CHUNK, 'after')
  assert.equal(next.idOf(1, changed), sha256(changed))
})

test('which chunks will likely come again is told from last night, each once, and nothing of a first night', () => {
  assert.deepEqual(open(3).likely(0, 3), [])
  const [a, b] = [Buffer.alloc(CHUNK, 'a'), Buffer.alloc(CHUNK, 'b')]
  night([a, b, a], open(3))
  assert.deepEqual(open(4).likely(0, 9), [sha256(a), sha256(b)])
  assert.deepEqual(open(4).likely(1, 2), [sha256(b)])
})

test('one bit of half a megabyte is a change', () => {
  // As the disk is read: in memory that threads may share.
  const [bytes = Buffer.alloc(0)] = createAlignedBuffers(512 * 1024, 1)
  night([bytes], open(1, bytes.length))
  for (const at of [0, 1, bytes.length / 2, bytes.length - 1]) {
    const fingerprints = open(1, bytes.length)
    bytes[at] = 1
    assert.equal(fingerprints.idOf(0, bytes), sha256(bytes), `byte ${at}`)
    bytes[at] = 0
  }
})

test('a file that is torn, spoiled, of another chunk size or of another version is worth nothing, and does no harm', () => {
  const chunks = [Buffer.alloc(CHUNK, 1), Buffer.alloc(CHUNK, 2)]
  night(chunks, open(2))
  const whole = readFileSync(fileOf())
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(fileOf(), whole.subarray(0, length))
    night(chunks, open(2))
  }
  for (let at = 0; at < whole.length; at++) {
    const spoiled = Buffer.from(whole)
    spoiled[at] = (spoiled[at] ?? 0) ^ 0x10
    writeFileSync(fileOf(), spoiled)
    night(chunks, open(2))
  }
  night([Buffer.alloc(2 * CHUNK, 1)], open(1, 2 * CHUNK))
  night(chunks, open(2))
})

test('nobody else reads the key, and each disk has its own', () => {
  const bytes = Buffer.alloc(CHUNK, 1)
  night([bytes], open(1))
  assert.equal(statSync(fileOf()).mode & 0o777, 0o600)
  assert.equal(statSync(join(folder, VM)).mode & 0o777, 0o700)
  const other = openFingerprintFolder(folder).open('vm-2', 'vda', { count: 1, chunkBytes: CHUNK })
  night([bytes], other)
  assert.notDeepEqual(readFileSync(fileOf()), readFileSync(fileOf('vm-2')))
})

test('what is remembered of VMs that are elsewhere goes', () => {
  dropFingerprintsOfOthers(join(folder, 'none-yet'), [])
  night([Buffer.alloc(CHUNK)], open(1))
  dropFingerprintsOfOthers(folder, [VM])
  assert.ok(existsSync(fileOf()))
  dropFingerprintsOfOthers(folder, ['vm-2'])
  assert.ok(!existsSync(fileOf()))
})

test('after a refusal by the vault nothing is believed: an id spoiled in memory would be refused every night', async () => {
  const path = join(folder, 'disk')
  writeFileSync(path, Buffer.alloc(CHUNK * 2, 7))
  const disk = { target: 'vda', sizeBytes: CHUNK * 2, chunkBytes: CHUNK }
  const job = {
    kind: 'backup',
    draft: { vm: { id: VM, name: 'web01' }, point: '20261128T020000Z', disks: [disk] },
    reads: [{ ...disk, path }],
    rateLimitBytes: 0,
  } as unknown as BackupJob
  const failWith = async (code: ErrorCode) => {
    night([Buffer.alloc(CHUNK, 1)], open(1))
    const session = {
      missing: async (ids: readonly string[]) => ids,
      put: async () => {
        throw new LifeboatError(code, 'no')
      },
      abort: async () => {},
    }
    const transfer = createInlineTransfer({
      openVault: () => ({ begin: async () => session, close: async () => {} }) as unknown as Vault,
      clock: createManualClock(1),
      threads: 1,
      fingerprints: openFingerprintFolder(folder),
      warn: () => {},
    })
    const failed = transfer.backup(job, { signal: new AbortController().signal })
    await assert.rejects(failed, { code })
    return existsSync(fileOf())
  }
  assert.equal(await failWith('unavailable'), true, 'a vault that was away says nothing about it')
  assert.equal(await failWith('bad-input'), false)
  assert.equal(await failWith('refused'), false)
})
