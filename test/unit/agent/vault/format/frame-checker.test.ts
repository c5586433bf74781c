import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { createFrameChecker } from '../../../../../agent/vault/format/frame-checker.ts'
import { createPacker } from '../../../../../agent/vault/format/frames.ts'
import { errorCode } from '../../../../../shared/errors.ts'

const text = Buffer.from(
  Array.from({ length: 20_000 }, (_, line) => `line ${(line * 7919) % 1000} ${line}\n`).join(''),
)
const MOST = 512 * 1024
const bytes = text.subarray(0, MOST)
const id = hash('sha256', bytes, 'hex')
const frame = zstdCompressSync(bytes)

test('a frame with any flipped bit is refused or still right, and spoils none of those behind it', async () => {
  const checker = createFrameChecker(2)
  try {
    let refused = 0
    for (let at = 0; at < frame.length; at += 97) {
      const bad = Buffer.from(frame)
      bad.writeUInt8(bad.readUInt8(at) ^ (1 << (at & 7)), at)
      await checker.check(id, bad, 'sha256', MOST).catch(error => {
        assert.equal(errorCode(error), 'bad-input', String(error))
        refused++
      })
      assert.equal(await checker.check(id, frame, 'sha256', MOST), bytes.length)
    }
    assert.ok(refused > 100, String(refused))
  } finally {
    checker.close()
  }
})

// With help: more than the main thread hashes before it has a thread started.
for (const [count, isHelped] of [[40, false] as const, [800, true] as const]) {
  test(`${count} at once are each judged by their own bytes`, async () => {
    const checker = createFrameChecker(3, isHelped)
    try {
      const other = zstdCompressSync(text.subarray(7, MOST + 7))
      const verdicts = await Promise.allSettled(
        Array.from({ length: count }, (_, index) =>
          checker.check(id, index % 3 === 0 ? other : frame, 'sha256', MOST),
        ),
      )
      for (const [index, verdict] of verdicts.entries()) {
        assert.equal(verdict.status, index % 3 === 0 ? 'rejected' : 'fulfilled', String(index))
      }
    } finally {
      checker.close()
    }
  })
}

test('a quick look finds any flipped bit of a frame of ours that changes what comes out, by its checksum', async () => {
  const checker = createFrameChecker(2)
  const packer = createPacker(MOST)
  const ours = Buffer.from(await packer.turn(bytes))
  try {
    let refused = 0
    let harmless = 0
    for (let at = 0; at < ours.length; at += 89) {
      const bad = Buffer.from(ours)
      bad.writeUInt8(bad.readUInt8(at) ^ (1 << (at & 7)), at)
      const verdict = await checker.check(id, bad, 'sha256', MOST, 'quick').catch(errorCode)
      assert.ok(verdict === 'bad-input' || verdict === bytes.length, String(verdict))
      if (verdict === 'bad-input') refused++
      else {
        assert.ok(zstdDecompressSync(bad).equals(bytes), `byte ${at}`)
        harmless++
      }
      assert.equal(await checker.check(id, ours, 'sha256', MOST, 'quick'), bytes.length)
    }
    assert.ok(refused > 100 && harmless < 5, `${refused} refused, ${harmless} harmless`)
  } finally {
    packer.close()
    checker.close()
  }
})

test('a quick look believes a checksum, and hashes what has none', async () => {
  const checker = createFrameChecker(1)
  const packer = createPacker(MOST)
  const other = text.subarray(7, MOST + 7)
  try {
    const ours = await packer.turn(other)
    assert.equal(await checker.check(id, ours, 'sha256', MOST, 'quick'), other.length)
    await assert.rejects(checker.check(id, ours, 'sha256', MOST), { code: 'bad-input' })
    await assert.rejects(checker.check(id, zstdCompressSync(other), 'sha256', MOST, 'quick'), {
      code: 'bad-input',
    })
  } finally {
    packer.close()
    checker.close()
  }
})
