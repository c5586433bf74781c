import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMoveStore } from '../../../../agent/store/move-store.ts'
import { COMMANDS_PER_ORDER, createOrderStore } from '../../../../agent/store/order-store.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import { createVmMarks } from '../../../../agent/store/vm-marks.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { preparedMove } from '../../../fakes/moves.ts'

const open = () => openDatabase(':memory:', AGENT_MIGRATIONS)
const command = (name: string) => ({ argv: [name], exitCode: 0, startedAt: 1, durationMs: 1, stderrTail: '' })
const order = (orderId: string) => ({
  orderId,
  kind: 'start-vm',
  vmId: 'vm-1',
  vmName: 'web01',
  generation: 1,
  epoch: 1,
  deadlineAt: 9,
  params: { a: 1 },
  acceptedAt: 1,
})
const end = { state: 'done', errorCode: '', errorMessage: '', endedAt: 5 } as const

test('an order is open, works on its VM, ends once, and is remembered after its end was seen', () => {
  const orders = createOrderStore(open())
  orders.accept(order('o1'))
  assert.equal(orders.working('vm-1')?.orderId, 'o1')
  assert.deepEqual(orders.load('o1')?.params, { a: 1 })
  orders.end('o1', end)
  orders.end('o1', { ...end, state: 'undone' })
  assert.equal(orders.load('o1')?.state, 'done')
  assert.equal(orders.working('vm-1'), undefined)
  assert.equal(orders.unacknowledged().length, 1)
  orders.addCommand('o1', command('virsh'))
  orders.acknowledge('o1')
  assert.equal(orders.unacknowledged().length, 0)
  assert.equal(orders.commands('o1').length, 0)
  assert.equal(orders.load('o1')?.state, 'done')
})

test('an order at work cannot be acknowledged away', () => {
  const orders = createOrderStore(open())
  orders.accept(order('o1'))
  orders.acknowledge('o1')
  assert.equal(orders.unacknowledged().length, 1)
})

test('commands are kept up to a limit, and those of a peer are claimed by the order that ends the move', () => {
  const orders = createOrderStore(open())
  orders.accept(order('o1'))
  orders.addCommand('peer:m1', command('virsh resume'))
  orders.claimCommands('peer:m1', 'o1')
  assert.deepEqual(
    orders.commands('o1').map(each => each.argv[0]),
    ['virsh resume'],
  )
  assert.equal(orders.commands('peer:m1').length, 0)
  for (let count = 0; count < COMMANDS_PER_ORDER + 5; count++) orders.addCommand('o1', command('lvs'))
  assert.equal(orders.commands('o1').length, COMMANDS_PER_ORDER)
})

test('an order whose abort came first is remembered as refused', () => {
  const orders = createOrderStore(open())
  orders.refuseUnseen('o9', 3)
  orders.refuseUnseen('o9', 4)
  assert.equal(orders.load('o9')?.state, 'refused')
  assert.equal(orders.unended().length, 0)
})

test('marks of a VM rise and never fall', () => {
  const marks = createVmMarks(open())
  marks.raiseGeneration('vm-1', 5)
  marks.raiseEpoch('vm-1', 3)
  marks.raiseGeneration('vm-1', 4)
  marks.raiseEpoch('vm-1', 2)
  assert.deepEqual({ ...marks.of('vm-1') }, { generation: 5, epoch: 3 })
  assert.deepEqual({ ...marks.of('vm-2') }, { generation: 0, epoch: 0 })
})

const move = preparedMove()

test('a move holds its VM until it is confirmed, and changes state only from where it is', () => {
  const moves = createMoveStore(open(), createManualClock(1))
  moves.put(move)
  assert.equal(moves.openOf('vm-1')?.moveId, 'm1')
  assert.equal(moves.advance('m1', ['released'], 'confirmed'), false)
  assert.equal(moves.advance('m1', ['prepared'], 'released'), true)
  moves.note('m1', { autostart: true })
  moves.note('m1', { handoverMs: 4 })
  assert.deepEqual(moves.load('m1')?.note, { autostart: true, handoverMs: 4 })
  assert.equal(moves.advance('m1', ['released'], 'confirmed'), true)
  assert.equal(moves.openOf('vm-1'), undefined)
  assert.equal(moves.load('m1')?.state, 'confirmed')
})
