import assert from 'node:assert/strict'
import { hash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createCrew } from '../../../../../agent/backup/transfer/crew.ts'
import { restoreDisk } from '../../../../../agent/backup/transfer/restore-disk.ts'
import { createPacker } from '../../../../../agent/vault/format/frames.ts'
import { createIndexBuilder, parseIndex } from '../../../../../agent/vault/format/index.ts'
import type { Chunk, Vault } from '../../../../../agent/vault/vault.ts'
import { settle } from '../../../../fakes/manual-clock.ts'

const CHUNK = 64 * 1024
const CHUNKS = 20
const SIZE = CHUNK * CHUNKS - 1000

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-restore-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const image = randomBytes(SIZE)

async function packed(): Promise<ReadonlyMap<string, Chunk>> {
  const packer = createPacker(CHUNK)
  const chunks = new Map<string, Chunk>()
  for (let at = 0; at < SIZE; at += CHUNK) {
    const bytes = image.subarray(at, at + CHUNK)
    const id = hash('sha256', bytes, 'hex')
    chunks.set(id, { id, frame: Buffer.from(await packer.turn(bytes)) })
  }
  packer.close()
  return chunks
}

async function restoreTo(path: string, ask: (ids: readonly string[]) => Promise<void>, stop: AbortSignal) {
  const chunks = await packed()
  const builder = createIndexBuilder(CHUNK, SIZE)
  ;[...chunks.keys()].forEach((id, position) => void builder.set(position, id))
  const vault: Pick<Vault, 'chunks'> = {
    chunks: async (_, ids) => {
      await ask(ids)
      return ids.map(id => chunks.get(id) as Chunk)
    },
  }
  const crew = createCrew(stop)
  crew.run(() =>
    restoreDisk({
      job: { target: 'vda', path, readsZero: true },
      ref: { vmId: '', point: '' },
      index: parseIndex(builder.finish()),
      vault: vault as Vault,
      crew,
      threads: 2,
      onWritten: () => {},
      onChecked: () => {},
      onReceived: () => {},
    }),
  )
  return crew
}

function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      // The one the folder itself was read by.
      return false
    }
  })
}

test('a restore that is stopped ends when nothing is under way with its disk, and writes nothing more', async () => {
  const path = join(folder, 'stopped')
  writeFileSync(path, '')
  const [stop, asked, answer] = [
    new AbortController(),
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ]
  const ask = async (): Promise<void> => {
    asked.resolve()
    await answer.promise
  }
  const crew = await restoreTo(path, ask, stop.signal)
  await asked.promise
  stop.abort()
  for (let turn = 0; turn < 20; turn++) await settle()
  assert.ok(isOpen(path), 'the disk was closed while a piece of the restore was still to come')
  answer.resolve()
  await assert.rejects(crew.whenDone(), { code: 'aborted' })
  assert.ok(!isOpen(path))
  assert.ok(readFileSync(path).equals(Buffer.alloc(SIZE)))
})

test('all of the image is written and read back; then the disk is closed', async () => {
  const path = join(folder, 'whole')
  writeFileSync(path, '')
  const crew = await restoreTo(path, async () => {}, new AbortController().signal)
  await crew.whenDone()
  assert.ok(readFileSync(path).equals(image))
  assert.ok(!isOpen(path))
})

test('a disk that takes no more ends the restore with that, not with what it led to', async () => {
  const crew = await restoreTo('/dev/full', async () => {}, new AbortController().signal)
  await assert.rejects(crew.whenDone(), { code: 'unavailable', message: /^cannot write \/dev\/full at byte/ })
  assert.ok(!isOpen('/dev/full'))
})
