import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { createCrew } from '../../../../../agent/backup/transfer/crew.ts'
import type { Disk } from '../../../../../agent/backup/transfer/disk.ts'
import { createFrontier } from '../../../../../agent/backup/transfer/frontier.ts'
import { createWriteTools, writeDisk } from '../../../../../agent/backup/transfer/write-disk.ts'
import { createPacker } from '../../../../../agent/vault/format/frames.ts'
import { createIndexBuilder, parseIndex } from '../../../../../agent/vault/format/index.ts'
import type { Chunk, Vault } from '../../../../../agent/vault/vault.ts'

const CHUNK = 512 * 1024
const CUT = 1000

/** Chunk by chunk a byte that fills it, 0 for zeroes; the last is cut short. */
async function play(seeds: readonly number[], readsZero: boolean, answer: (chunks: Chunk[]) => Chunk[]) {
  const size = seeds.length * CHUNK - CUT
  const image = Buffer.alloc(size)
  const builder = createIndexBuilder(CHUNK, size)
  const packer = createPacker(CHUNK)
  const frames = new Map<string, Buffer>()
  for (const [position, seed] of seeds.entries()) {
    const bytes = image.subarray(position * CHUNK, (position + 1) * CHUNK).fill(seed)
    const id = hash('sha256', bytes, 'hex')
    builder.set(position, id)
    frames.set(id, Buffer.from(await packer.turn(bytes)))
  }
  packer.close()
  const index = parseIndex(builder.finish())
  const asked: number[] = []
  const chunks: Vault['chunks'] = async (_, ids) => {
    asked.push(ids.length)
    return answer(ids.map(id => ({ id, frame: frames.get(id) ?? Buffer.alloc(0) })))
  }
  const written = Buffer.alloc(size)
  const writes: string[] = []
  const write: Disk['write'] = async (bytes, at) => {
    bytes.copy(written, at)
    writes.push(`${at / CHUNK}+${bytes.length % CHUNK === 0 ? bytes.length / CHUNK : 'cut'}`)
  }
  const crew = createCrew(new AbortController().signal)
  const tools = createWriteTools(index, 2)
  let told = 0
  const writing = {
    job: { target: 'vda', path: '', readsZero },
    ref: { vmId: '', point: '' },
    index,
    vault: { chunks } as Vault,
    crew,
    threads: 2,
    frontier: createFrontier(crew.signal),
    onWritten: (bytes: number) => {
      told += bytes
    },
    onReceived: () => {},
  }
  crew.run(() => writeDisk(writing, { write } as Disk, tools))
  try {
    await crew.whenDone()
  } finally {
    for (const lane of tools.lanes) lane.close()
  }
  assert.ok(written.equals(image))
  assert.equal(told, size)
  return { asked, writes: writes.sort() }
}

const asIs = (chunks: Chunk[]): Chunk[] => chunks

test('what lies side by side is written at once: whole blocks, up to a zero, an odd end or a chunk that comes again', async () => {
  const { asked, writes } = await play([1, 2, 3, 0, 4, 5, 2, 2, 6], true, asIs)
  assert.deepEqual(asked, [6])
  assert.deepEqual(writes, ['0+2', '2+1', '4+2', '6+1', '7+1', '8+cut'])
  const apart = await play([1, 2, 3, 0, 4, 5, 6], true, asIs)
  assert.deepEqual(apart.writes, ['0+3', '4+2', '6+cut'])
})

test('a request is for as much as is written at once', async () => {
  const seeds = Array.from({ length: 21 }, (_, position) => position + 1)
  const { asked, writes } = await play(seeds, true, asIs)
  assert.deepEqual(asked, [8, 8, 5])
  assert.deepEqual(writes, ['0+8', '16+4', '20+cut', '8+8'])
})

test('where old bytes would shine through, zeroes are written in their place', async () => {
  const { writes } = await play([1, 0, 0, 2, 3], false, asIs)
  assert.deepEqual(writes, ['0+1', '1+1', '2+1', '3+1', '4+cut'])
})

test('a vault that sends other chunks than it was asked for ends the restore', async () => {
  const other = (chunks: Chunk[]): Chunk[] => chunks.toReversed()
  const fewer = (chunks: Chunk[]): Chunk[] => chunks.slice(1)
  const longer = (chunks: Chunk[]): Chunk[] =>
    chunks.map(({ id }) => ({ id, frame: chunks[0]?.frame ?? Buffer.alloc(0) }))
  await assert.rejects(play([1, 2, 3], true, other), { code: 'version-mismatch' })
  await assert.rejects(play([1, 2, 3], true, fewer), { code: 'version-mismatch' })
  await assert.rejects(play([1, 2, 3], true, longer), {
    code: 'refused',
    message: /its index says otherwise/,
  })
})
