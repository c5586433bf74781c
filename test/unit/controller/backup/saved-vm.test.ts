import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSavedVm } from '../../../../controller/backup/saved-vm.ts'
import { GIB, MIB } from '../../../../shared/domain/units.ts'

const DISK = { target: 'vda', format: 'qcow2', storage: 'file', pool: '/srv', path: '/srv/a.qcow2' }

function sizeOf(disk: object): number | undefined {
  const manifest = { vm: { id: 'id-a', name: 'a' }, definition: '', memoryBytes: 1, vcpus: 1 }
  return readSavedVm(JSON.stringify({ ...manifest, disks: [{ ...DISK, ...disk }] })).disks[0]?.sizeBytes
}

test('a qcow2 image needs room for the whole disk in it, however small its file was that night (rule 5)', () => {
  assert.equal(sizeOf({ sizeBytes: 300 * MIB, virtualBytes: 20 * GIB }), 20 * GIB)
  // Full, with its own tables beside the data.
  assert.equal(sizeOf({ sizeBytes: 21 * GIB, virtualBytes: 20 * GIB }), 21 * GIB)
  assert.equal(sizeOf({ sizeBytes: 300 * MIB }), 300 * MIB, 'by a version that did not note it')
})
