import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOrder } from '../../../../agent/operations/read-order.ts'
import { Order } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { Vm } from '../../../../proto/gen/lifeboat/v1/types.ts'

const ID = '33333333-3333-4333-8333-333333333333'
const nameOf = () => 'web01'

function order(change: Partial<Order>): Order {
  return { ...Order.fromPartial({ orderId: 'o1/x', vmId: ID }), ...change }
}

test('an order to stop a VM is read with its name and its force', () => {
  const read = readOrder(order({ kind: { $case: 'stop', value: { force: true } } }), nameOf)
  assert.equal(read.header.kind, 'stop-vm')
  assert.equal(read.vmName, 'web01')
  assert.equal((read.params as { force: boolean }).force, true)
})

test('a kind of order from a newer controller is told apart from a bad one', () => {
  assert.throws(() => readOrder(order({ kind: undefined }), nameOf), { code: 'version-mismatch' })
})

test('a VM with a slash in its name is not let in', () => {
  const vm = { id: ID, name: '../../etc/passwd', volumes: [] } as never
  const value = { vm, fromBlade: 'blade01', moveId: 'm1' }
  assert.throws(() => readOrder(order({ kind: { $case: 'prepareIncoming', value } }), nameOf), {
    code: 'bad-input',
  })
})

test('an order that describes another VM than it is for is refused', () => {
  const vm = { id: ID.replaceAll('3', '4'), name: 'web01', volumes: [] } as never
  const value = { vm, fromBlade: 'blade01', moveId: 'm1' }
  assert.throws(() => readOrder(order({ kind: { $case: 'prepareIncoming', value } }), nameOf), /describes/)
})

test('a prepare order without volumes of a known kind is refused, naming the field', () => {
  const volume = {
    target: 'vda',
    path: '/dev/sdb',
    storage: 'tape',
    pool: '',
    sizeBytes: 1,
    allocatedBytes: 1,
  }
  const vm = { id: ID, name: 'web01', volumes: [{ ...volume, format: 'raw' }] } as never
  const value = { vm, fromBlade: 'blade01', moveId: 'm1' }
  assert.throws(
    () => readOrder(order({ kind: { $case: 'prepareIncoming', value } }), nameOf),
    (error: { details?: readonly string[] }) => error.details?.[0]?.startsWith('volumes.0.storage') === true,
  )
})

test('an id that is no UUID is refused', () => {
  assert.throws(() => readOrder(order({ vmId: 'web01', kind: { $case: 'start', value: {} } }), nameOf), {
    code: 'bad-input',
  })
})

const RESTORE = {
  restoreId: 'o7',
  vault: { name: 'depot', address: 'depot:7424' },
  pointVmId: ID,
  point: '20261128T020512Z',
  newIdentity: true,
  start: true,
  onlyDisk: '',
}
const DISK = {
  target: 'vda',
  path: '/dev/vg0/copy',
  storage: 'thick',
  pool: 'vg0',
  sizeBytes: 4096,
  allocatedBytes: 0,
  format: 'raw',
}
const vmNamed = (name: string, id = ID) => Vm.fromPartial({ id, name, volumes: [DISK] })

test('an order to restore is for the VM that it describes, under the name it shall have', () => {
  const restore = (vm: Vm) => order({ kind: { $case: 'restore', value: { ...RESTORE, vm } } })
  const { header, vmName, params } = readOrder(restore(vmNamed('copy')), nameOf)
  assert.equal(header.kind, 'restore-vm')
  assert.equal(vmName, 'copy')
  assert.deepEqual((params as unknown as { volumes: unknown }).volumes, [DISK])
  const other = '44444444-4444-4444-8444-444444444444'
  assert.throws(() => readOrder(restore(vmNamed('copy', other)), nameOf), { code: 'bad-input' })
})

test('a boot test under the name of a real VM is refused', () => {
  const { newIdentity: _, start: __, onlyDisk: ___, ...point } = RESTORE
  const bootTest = (name: string) =>
    order({
      kind: { $case: 'bootTest', value: { ...point, vm: vmNamed(name), bootLimitMs: 1000, sign: 'any' } },
    })
  assert.equal(readOrder(bootTest('lifeboat-test-1a2b3c4d'), nameOf).header.kind, 'boot-test')
  assert.throws(() => readOrder(bootTest('web01'), nameOf), { code: 'bad-input' })
})

test('a backup in a mode there is not, or in none, is refused', () => {
  const backup = (mode: string) => order({ kind: { $case: 'backup', value: { mode, force: false } } })
  assert.equal(readOrder(backup(''), nameOf).header.kind, 'backup-vm')
  for (const mode of ['off', 'quick']) {
    assert.throws(() => readOrder(backup(mode), nameOf), { code: 'bad-input' })
  }
})
