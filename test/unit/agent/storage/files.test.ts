import assert from 'node:assert/strict'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createFileStore } from '../../../../agent/storage/file-store.ts'
import { parseImageHeader } from '../../../../agent/storage/image-header.ts'
import type { VolumeExtent, VolumeInfo } from '../../../../agent/storage/volumes.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { errorCode } from '../../../../shared/errors.ts'
import { createScriptedRunner } from '../../../fakes/scripted-runner.ts'

const MOVE = 'move-1'
const noTools = createScriptedRunner([])

/** The first 104 bytes of a qcow2 file as QEMU's docs/interop/qcow2 lays them out. */
function qcow2Head(
  options: { version?: number; sizeBytes?: number; backing?: boolean; features?: bigint } = {},
): Buffer {
  const head = Buffer.alloc(104)
  head.write('QFI\xfb', 0, 'latin1')
  head.writeUInt32BE(options.version ?? 3, 4)
  head.writeBigUInt64BE(options.backing ? 200n : 0n, 8)
  head.writeUInt32BE(16, 20)
  head.writeBigUInt64BE(BigInt(options.sizeBytes ?? 64 * MIB), 24)
  head.writeBigUInt64BE(options.features ?? 0n, 72)
  return head
}

const codeOf = async (work: Promise<unknown>) => await work.then(() => 'no error', errorCode)
async function* listOf(...extents: VolumeExtent[]): AsyncIterable<VolumeExtent> {
  yield* extents
}

describe('image headers', () => {
  it('a qcow2 file tells its virtual size in both versions', () => {
    for (const version of [2, 3]) {
      assert.deepEqual(parseImageHeader(qcow2Head({ version })), {
        ...{ format: 'qcow2', sizeBytes: 64 * MIB, backingFile: false, dataFile: false },
      })
    }
  })

  it('an overlay, an external data file, other formats and broken headers are told apart', () => {
    const overlay = parseImageHeader(qcow2Head({ backing: true }))
    assert.ok(overlay.format === 'qcow2' && overlay.backingFile)
    const external = parseImageHeader(qcow2Head({ features: 4n }))
    assert.ok(external.format === 'qcow2' && external.dataFile)
    assert.equal(parseImageHeader(qcow2Head({ version: 9 })).format, 'broken')
    assert.equal(parseImageHeader(qcow2Head().subarray(0, 40)).format, 'broken')
    assert.deepEqual(parseImageHeader(Buffer.from('KDMV....')), { format: 'foreign', name: 'VMDK' })
    assert.deepEqual(parseImageHeader(Buffer.from('vhdxfile')), { format: 'foreign', name: 'VHDX' })
    assert.deepEqual(parseImageHeader(Buffer.alloc(104)), { format: 'raw' })
    assert.deepEqual(parseImageHeader(Buffer.alloc(0)), { format: 'raw' })
  })
})

describe('disks that are files', () => {
  let directory = ''
  const path = (name: string) => join(directory, name)
  const blank = (name: string): VolumeInfo => ({
    ...{
      path: path(name),
      storage: 'file',
      pool: directory,
      sizeBytes: 2 * MIB,
      allocatedBytes: 0,
      format: 'raw',
    },
  })
  const store = () => createFileStore({ directories: () => [directory, join(directory, 'gone')] })
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lifeboat-files-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('says of each path what it is or why it cannot move', async () => {
    writeFileSync(path('raw.img'), '')
    truncateSync(path('raw.img'), MIB)
    writeFileSync(path('disk.qcow2'), qcow2Head())
    writeFileSync(path('overlay.qcow2'), qcow2Head({ backing: true }))
    writeFileSync(path('disk.vmdk'), 'KDMV')
    symlinkSync(path('raw.img'), path('link.img'))
    const names = ['raw.img', 'disk.qcow2', 'overlay.qcow2', 'disk.vmdk', 'link.img', 'gone.img', '.']
    const seen = await store().inspect(names.map(path))
    const told = [...seen.values()].map(info =>
      'error' in info ? info.code : `${info.format} ${info.sizeBytes / MIB}`,
    )
    assert.deepEqual(told, [
      ...[
        'raw 1',
        'qcow2 64',
        'disk-has-backing-file',
        'disk-not-local',
        'disk-not-local',
        'disk-unreadable',
      ],
      'disk-not-local',
    ])
  })

  it('a directory’s free room is what sparse files have not been promised', async () => {
    const [before] = await store().pools()
    const huge = 1024 * MIB
    writeFileSync(path('sparse.img'), '')
    truncateSync(path('sparse.img'), huge)
    const [after] = await store().pools()
    assert.equal(before?.name, directory)
    // Other programs use the same file system meanwhile; half of the promise must show all the same.
    assert.ok((before?.freeBytes ?? 0) - (after?.freeBytes ?? 0) > huge / 2)
  })

  it('asks qemu-img for a qcow2 file under a draft name, and leaves no draft', async () => {
    const run = createScriptedRunner([
      {
        argv: ['qemu-img', '...'],
        onCall: argv => writeFileSync(argv.at(-2) ?? '', qcow2Head({ sizeBytes: 2 * MIB })),
      },
    ])
    await store().create({ ...blank('web01.qcow2'), format: 'qcow2' }, MOVE, run)
    assert.deepEqual(run.calls[0]?.argv, [
      ...['qemu-img', 'create', '-q', '-f', 'qcow2', path('web01.qcow2.lifeboat-draft'), String(2 * MIB)],
    ])
    assert.deepEqual(readdirSync(directory), ['web01.qcow2', 'web01.qcow2.lifeboat-move'])
  })

  it('an agent that died while it made a file starts again, and discard takes all of it away', async () => {
    const failing = createScriptedRunner([
      { argv: ['qemu-img', '...'], onCall: argv => writeFileSync(argv.at(-2) ?? '', 'half'), exitCode: 1 },
    ])
    const volume = { ...blank('web01.qcow2'), format: 'qcow2' } as const
    assert.equal(await codeOf(store().create(volume, MOVE, failing)), 'command-failed')
    assert.equal(existsSync(volume.path), false)
    assert.equal(await codeOf(store().create(volume, 'move-2', noTools)), 'already-exists')
    const working = createScriptedRunner([
      { argv: ['qemu-img', '...'], onCall: argv => writeFileSync(argv.at(-2) ?? '', qcow2Head()) },
    ])
    await store().create(volume, MOVE, working)
    await store().discard(volume.path, MOVE, noTools)
    assert.deepEqual(readdirSync(directory), [])
  })

  it('a copy that is begun anew shows nothing of the broken one', async () => {
    const volume = blank('web01.img')
    await store().create(volume, MOVE, noTools)
    await store().write(volume.path, listOf({ offsetBytes: MIB, data: Buffer.alloc(4096, 1) }))
    await store().write(volume.path, listOf({ offsetBytes: 0, data: Buffer.alloc(4096, 2) }))
    const expected = Buffer.alloc(2 * MIB)
    expected.fill(2, 0, 4096)
    assert.ok(expected.equals(readFileSync(volume.path)))
  })

  it('extents out of order are refused: what lies behind could not be cleared any more', async () => {
    const volume = blank('web01.img')
    await store().create(volume, MOVE, noTools)
    const back = listOf(
      { offsetBytes: 8192, data: Buffer.alloc(512) },
      { offsetBytes: 0, data: Buffer.alloc(512) },
    )
    assert.equal(await codeOf(store().write(volume.path, back)), 'bad-input')
  })

  it('never writes into a file that was not made for a move', async () => {
    writeFileSync(path('theirs.img'), 'data')
    assert.equal(await codeOf(store().write(path('theirs.img'), listOf())), 'refused')
    assert.equal(readFileSync(path('theirs.img'), 'utf8'), 'data')
  })

  it('nothing is made outside the directories that hold disks', async () => {
    for (const volume of [
      { ...blank('x.img'), path: join(tmpdir(), 'x.img'), pool: tmpdir() },
      { ...blank('x.img'), pool: tmpdir() },
      { ...blank('x.img'), path: `${directory}/../x.img` },
      { ...blank('x.img'), path: `${directory}/sub/x.img` },
      { ...blank('x.img'), path: 'x.img', pool: '.' },
    ]) {
      assert.equal(await codeOf(store().create(volume, MOVE, noTools)), 'refused', volume.path)
    }
    assert.deepEqual(readdirSync(directory), [])
  })
})
