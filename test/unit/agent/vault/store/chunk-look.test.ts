import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import type { FrameChecker } from '../../../../../agent/vault/format/frame-checker.ts'
import { createChunkLook } from '../../../../../agent/vault/store/chunk-look.ts'
import { vaultLayout } from '../../../../../agent/vault/store/layout.ts'
import { errorCode, LifeboatError } from '../../../../../shared/errors.ts'
import { backUp, makeChunk, makeVaultDir } from '../../../../fakes/vault-dir.ts'

const CHUNK = makeChunk(1)

/** A vault with one chunk, and a checker that fails as a disk does. */
async function lookWith(
  check: FrameChecker['check'],
  act: (look: ReturnType<typeof createChunkLook>, path: string) => Promise<void>,
  isUnproven = false,
) {
  const place = makeVaultDir()
  const store = place.open()
  try {
    await backUp(store, { seeds: [1] })
    const layout = vaultLayout(place.dir)
    await act(
      createChunkLook({ layout, frames: { check, close: () => {} }, unproven: { has: () => isUnproven } }),
      layout.chunk(CHUNK.id),
    )
  } finally {
    await store.close()
    place.remove()
  }
}

function diskError(code: string): LifeboatError {
  const cause = Object.assign(new Error(`${code}: read`), { code })
  return new LifeboatError('unavailable', 'cannot read', { cause })
}

test('a chunk is good, corrupt, of the wrong length, or gone', async () => {
  let found: () => Promise<number> = async () => 4096
  await lookWith(
    () => found(),
    async (look, path) => {
      assert.deepEqual(await look(CHUNK.id, 'sha256'), { verdict: 'good', bytes: CHUNK.frame.length })
      assert.equal((await look(CHUNK.id, 'sha256', 512)).verdict, 'other-length')
      found = async () => {
        throw new LifeboatError('bad-input', 'other bytes')
      }
      assert.equal((await look(CHUNK.id, 'sha256')).verdict, 'corrupt')
      rmSync(path)
      assert.deepEqual(await look(CHUNK.id, 'sha256'), { verdict: 'gone', bytes: 0 })
    },
  )
})

test('a bad sector is a corrupt chunk; a disk that goes away is not a hundred of them', async () => {
  await lookWith(
    async () => {
      throw diskError('EIO')
    },
    async look => {
      for (let count = 0; count < 100; count++)
        assert.equal((await look(CHUNK.id, 'sha256')).verdict, 'corrupt')
      await assert.rejects(look(CHUNK.id, 'sha256'), /the disk of the vault fails/)
    },
  )
})

test('what says nothing of the chunk is no verdict: no rights, too many open files', async () => {
  await lookWith(
    async () => {
      throw diskError('EMFILE')
    },
    async look => await assert.rejects(look(CHUNK.id, 'sha256'), error => errorCode(error) === 'unavailable'),
  )
})

test('a quick look at what was never hashed here is a full one', async () => {
  const depths: (string | undefined)[] = []
  await lookWith(
    async (_id, _frame, _digest, _most, depth) => {
      depths.push(depth)
      return 4096
    },
    async look => void (await look(CHUNK.id, 'sha256', 4096, 'quick')),
    true,
  )
  assert.deepEqual(depths, ['full'])
})

test('a quick look condemns nothing: what it does not like is read again and hashed', async () => {
  const asked: string[] = []
  let full = async (): Promise<number> => 4096
  let quick = full
  const check: FrameChecker['check'] = async (_id, _frame, _digest, _max, depth = 'full') => {
    asked.push(depth)
    return depth === 'quick' ? await quick() : await full()
  }
  const refuse = async (): Promise<number> => {
    throw new LifeboatError('bad-input', 'other bytes')
  }
  await lookWith(check, async (look, path) => {
    const looked = async () => {
      asked.length = 0
      const { verdict } = await look(CHUNK.id, 'sha256', 4096, 'quick')
      return `${asked.join(' ')}: ${verdict}`
    }
    assert.equal(await looked(), 'quick: good')
    quick = refuse
    assert.equal(await looked(), 'quick full: good')
    // Whether the index is wrong, or another chunk lies under that name, only hashing can tell.
    quick = async () => 512
    assert.equal(await looked(), 'quick full: good')
    full = quick
    assert.equal(await looked(), 'quick full: other-length')
    full = refuse
    assert.equal(await looked(), 'quick full: corrupt')
    quick = async () => {
      throw diskError('EIO')
    }
    assert.equal(await looked(), 'quick: corrupt')
    rmSync(path)
    assert.equal(await looked(), ': gone')
  })
})
