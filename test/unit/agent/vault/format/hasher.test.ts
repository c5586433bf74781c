import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { createAlignedBuffers } from '../../../../../agent/vault/format/aligned.ts'
import { createHasher, type Hasher } from '../../../../../agent/vault/format/hasher.ts'

const BLOCK_BYTES = 2 * 1024 * 1024

function filled(count: number): Buffer[] {
  return createAlignedBuffers(BLOCK_BYTES, count).map((block, number) => block.fill(number + 1))
}

const halves = (block: Buffer): Buffer[] => [
  block.subarray(0, BLOCK_BYTES / 2),
  block.subarray(BLOCK_BYTES / 2),
]
const wanted = (block: Buffer): string[] =>
  halves(block).map(part => createHash('sha256').update(part).digest('hex'))

/** Hashes until one digest is still under way when the main thread had nothing more to do: the thread has it. */
async function untilHelped(hasher: Hasher, block: Buffer): Promise<void> {
  for (let isHelped = false; !isHelped; ) {
    let isDone = false
    const ids = hasher.digest(halves(block)).then(found => {
      isDone = true
      return found
    })
    await new Promise(resolve => setImmediate(resolve))
    isHelped = !isDone
    assert.deepEqual(await ids, wanted(block))
  }
}

test('digests are the same from the thread and from here, each for its own block', async () => {
  const blocks = filled(6)
  const hasher = createHasher(blocks, 'sha256', 0)
  await untilHelped(hasher, blocks[0] as Buffer)
  for (let round = 0; round < 3; round++) {
    for (const [number, block] of blocks.entries()) block.fill(16 * round + number)
    const found = await Promise.all(blocks.map(block => hasher.digest(halves(block))))
    assert.deepEqual(found, blocks.map(wanted))
  }
  hasher.close()
  assert.deepEqual(await hasher.digest(halves(blocks[1] as Buffer)), wanted(blocks[1] as Buffer))
})

test('memory that no thread can see is hashed here', async () => {
  const block = Buffer.alloc(BLOCK_BYTES, 7)
  const hasher = createHasher([block], 'sha256', 0)
  await hasher.digest(halves(block))
  block.fill(8)
  assert.deepEqual(await hasher.digest(halves(block)), wanted(block))
  hasher.close()
})
