import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOrder } from '../../../../agent/operations/read-order.ts'
import { Order } from '../../../../proto/gen/lifeboat/v1/intake.ts'

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
