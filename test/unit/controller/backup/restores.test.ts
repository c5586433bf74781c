import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRestores } from '../../../../controller/backup/restores.ts'
import { defaultControllerConfig } from '../../../../controller/config.ts'
import type { Operations } from '../../../../controller/operations/operations.ts'
import { EMPTY_OPERATION } from '../../../../controller/store/operations.ts'
import { point } from '../../../fakes/backup-sketch.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { createPointWorld } from '../operations/point-world.ts'

const NOW = 1_000_000
const POINT = point('web09', 5)
const MANIFEST = {
  vm: { id: POINT.vmId, name: POINT.vm },
  definition: "<domain><os><type machine='pc'>hvm</type></os></domain>",
  memoryBytes: 1,
  vcpus: 1,
  disks: [
    { target: 'vda', sizeBytes: 1, format: 'raw', storage: 'thick', pool: 'vg0', path: '/dev/vg0/web09' },
  ],
}

test('a boot test asks what holds it back when the vault has answered, not before', async () => {
  const clock = createManualClock(NOW)
  const { store, services } = createPointWorld('backup', 'o1', clock)
  store.points.replace('depot', [POINT])
  const begun: string[] = []
  let heldBack = ''
  let whileTheVaultAnswers = () => {}
  const ask = async () => {
    whileTheVaultAnswers()
    return { summary: undefined, manifestJson: JSON.stringify(MANIFEST) }
  }
  const restores = createRestores({
    store,
    fleet: services.fleet,
    vaults: { ask: ask as never },
    operations: {
      startBootTest: test => {
        begun.push(test.pointVm.name)
        return EMPTY_OPERATION
      },
    } as Operations,
    clock,
    ids: { next: () => '01234567-0000-4000-8000-000000000000' },
    config: defaultControllerConfig().backup,
  })
  const { vmId: vm, point: name } = POINT
  const wish = { vm, point: name, to: 'blade02', requestedBy: 'automation', cause: 'the night' }
  const begin = () => restores.bootTest({ ...wish, heldBack: () => heldBack })
  await begin()
  assert.deepEqual(begun, ['web09'])
  whileTheVaultAnswers = () => {
    heldBack = 'automation is paused'
  }
  await assert.rejects(begin(), { code: 'refused', message: 'automation is paused' })
  assert.deepEqual(begun, ['web09'])
})
