import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backupVm } from '../../agent/backup/backup-saga.ts'
import { bootTest } from '../../agent/backup/boot-test-saga.ts'
import { restoreVm } from '../../agent/backup/restore-saga.ts'
import {
  BACKUP_PARAMS,
  BOOT_PARAMS,
  backupWorld,
  NEW_DISK,
  NEW_ID,
  RESTORE_PARAMS,
  restoreWorld,
} from '../fakes/backup-sagas.ts'
import { DISK, type TwoBlades, VM_ID } from '../unit/agent/operations/two-blades.ts'
import { runSagaBattery } from './saga-battery.ts'

// Backup, restore and boot test with one thing going wrong at a time: each step fails, is repeated, is aborted, and the
// agent dies around each write of its journal.

function untouched(world: TwoBlades): void {
  const { source } = world
  assert.equal(source.vms.get(VM_ID)?.state, 'running', 'the VM must run')
  assert.deepEqual([...source.snapshots.held], [], 'a guest stands')
  assert.deepEqual([...source.snapshots.taken.keys()], [], 'a snapshot is left')
  assert.equal(source.volumes.get(DISK)?.content, 'the data')
  assert.equal(world.vault.open, 0, 'a connection to the vault is left open')
}

test('a backup survives everything: the VM runs, no snapshot is left, and a restore point is listed or not', async () => {
  const { runs } = await runSagaBattery({
    definition: backupVm,
    params: BACKUP_PARAMS,
    createWorld: () => {
      const world = backupWorld()
      return {
        services: world.source.services,
        check: state => {
          untouched(world)
          const [point, ...more] = world.vault.points.values()
          assert.deepEqual(more, [])
          if (state === 'done') assert.equal(point?.disks.get('vda'), 'the data')
        },
      }
    },
  })
  assert.ok(runs.length > 35, `only ${runs.length} runs`)
})

test('a restore survives everything: the VM is here, whole and running, or nothing of it is', async () => {
  await runSagaBattery({
    definition: restoreVm,
    params: RESTORE_PARAMS,
    createWorld: () => {
      const world = restoreWorld()
      return {
        services: world.source.services,
        checkInvariant: () => {
          untouched(world)
          const volume = world.source.volumes.get(NEW_DISK)
          // Rule: what bears a VM's name holds its bytes.
          if (world.source.vms.has(NEW_ID)) assert.equal(volume?.content, 'the data')
        },
        check: state => {
          const vm = world.source.vms.get(NEW_ID)
          const volume = world.source.volumes.get(NEW_DISK)
          if (state === 'undone') {
            assert.equal(vm, undefined)
            assert.equal(volume, undefined)
          } else {
            assert.equal(vm?.state, 'running')
            assert.equal(vm?.name, 'db01-copy')
            assert.deepEqual(volume, { content: 'the data', move: '', kept: '' })
            assert.equal(world.source.services.marks.of(NEW_ID).epoch, 1)
          }
        },
      }
    },
  })
})

test('a boot test survives everything, and however it ends nothing of it is left', async () => {
  await runSagaBattery({
    definition: bootTest,
    params: BOOT_PARAMS,
    createWorld: () => {
      const world = restoreWorld()
      return {
        services: world.source.services,
        checkInvariant: () => untouched(world),
        check: () => {
          assert.equal(world.source.vms.has(NEW_ID), false)
          assert.equal(world.source.volumes.has(NEW_DISK), false)
        },
      }
    },
  })
})
