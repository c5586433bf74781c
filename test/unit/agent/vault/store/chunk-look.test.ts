import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { createChunkLook } from '../../../../../agent/vault/store/chunk-look.ts'
import { vaultLayout } from '../../../../../agent/vault/store/layout.ts'
import { errorCode, LifeboatError } from '../../../../../shared/errors.ts'
import { backUp, makeChunk, makeVaultDir } from '../../../../fakes/vault-dir.ts'

const CHUNK = makeChunk(1)

/** A vault with one chunk, and a checker that fails as a disk does. */
async function lookWith(
  check: () => Promise<number>,
  act: (look: ReturnType<typeof createChunkLook>, path: string) => Promise<void>,
) {
  const place = makeVaultDir()
  const store = place.open()
  try {
    await backUp(store, { seeds: [1] })
    const layout = vaultLayout(place.dir)
    await act(createChunkLook({ layout, frames: { check, close: () => {} } }), layout.chunk(CHUNK.id))
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
