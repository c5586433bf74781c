import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openToRead, openToWrite } from '../../../../../agent/backup/transfer/disk.ts'
import { createAlignedBuffers, isAligned } from '../../../../../agent/vault/format/aligned.ts'

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-disk-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function fileOf(bytes: Buffer): string {
  const path = join(folder, 'disk')
  writeFileSync(path, bytes)
  return path
}

test('aligned buffers do not overlap, and their parts are aligned where they begin and end at blocks', () => {
  const buffers = createAlignedBuffers(5000, 3)
  buffers.forEach((buffer, number) => {
    buffer.fill(number + 1)
  })
  for (const [number, buffer] of buffers.entries()) {
    assert.equal(buffer.length, 5000)
    assert.ok(buffer.every(byte => byte === number + 1))
    assert.ok(isAligned(buffer.subarray(0, 4096), 8192))
    assert.ok(!isAligned(buffer, 0))
    assert.ok(!isAligned(buffer.subarray(0, 4096), 512))
  }
})

test('whole blocks and odd ends are read and written side by side, each sees the other', async () => {
  const path = fileOf(Buffer.alloc(3 * 4096 + 100, 'old '))
  const disk = await openToWrite(path)
  const [block, odd] = createAlignedBuffers(8192, 2) as [Buffer, Buffer]
  await disk.write(block.fill('block '), 4096)
  await disk.write(odd.subarray(0, 100).fill('end '), 3 * 4096)
  await disk.write(odd.subarray(0, 10).fill('in '), 5000)
  const back = createAlignedBuffers(3 * 4096, 1)[0] as Buffer
  await disk.read(back, 0)
  await disk.makeDurable()
  await disk.close()
  const found = readFileSync(path)
  assert.ok(back.equals(found.subarray(0, 3 * 4096)))
  const wanted = Buffer.concat([
    Buffer.alloc(4096, 'old '),
    Buffer.alloc(8192, 'block '),
    Buffer.alloc(100, 'end '),
  ])
  Buffer.alloc(10, 'in ').copy(wanted, 5000)
  assert.ok(found.equals(wanted))
})

test('a file grows to its image and never shrinks; a disk that ends early says where', async () => {
  const path = fileOf(Buffer.alloc(4096))
  const disk = await openToWrite(path)
  await disk.makeRoom(10_000)
  await disk.makeRoom(5000)
  await disk.close()
  assert.equal(readFileSync(path).length, 10_000)
  const reading = await openToRead(path)
  const [buffer] = createAlignedBuffers(4096, 1) as [Buffer]
  await assert.rejects(reading.read(buffer, 8192), {
    code: 'unavailable',
    message: /disk ends at byte 10000, 2288 bytes or more too early/,
  })
  await reading.close()
})
