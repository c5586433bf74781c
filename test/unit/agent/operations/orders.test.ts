import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideOrder, type Known, type OrderHeader } from '../../../../agent/operations/orders.ts'

const NOTHING: Known = {
  sameOrder: undefined,
  generation: 0,
  epoch: 0,
  working: undefined,
  backingUp: undefined,
  move: undefined,
}
const NOW = 1000

function order(change: Partial<OrderHeader> = {}): OrderHeader {
  return {
    orderId: 'o1/start',
    kind: 'start-vm',
    vmId: 'vm-1',
    generation: 5,
    epoch: 3,
    deadlineAt: NOW + 1,
    moveId: '',
    ...change,
  }
}
const SAME = { state: 'done', vmId: 'vm-1', kind: 'start-vm', generation: 5 } as const
const leaving = { moveId: 'm1', direction: 'out', state: 'released', epoch: 3, peerBlade: 'blade02' } as const
const arriving = { moveId: 'm1', direction: 'in', state: 'prepared', epoch: 3, peerBlade: 'blade01' } as const

const CASES: readonly {
  story: string
  order?: Partial<OrderHeader>
  known: Partial<Known>
  expect: string
}[] = [
  { story: 'a first order is carried out', known: {}, expect: 'run' },
  {
    story: 'the same order again is answered',
    known: { sameOrder: SAME },
    expect: 'answer-existing',
  },
  {
    story: 'the same order is answered even when newer ones came since',
    known: { sameOrder: SAME, generation: 9, epoch: 9 },
    expect: 'answer-existing',
  },
  {
    story: 'an order that was aborted before it came is answered',
    known: { sameOrder: { state: 'refused', vmId: '', kind: '', generation: 0 } },
    expect: 'answer-existing',
  },
  {
    story: 'an order under the id of one for another VM gets no answer of that one',
    known: { sameOrder: { ...SAME, vmId: 'vm-2' } },
    expect: 'stale',
  },
  {
    story: 'nor one under the id of an older intention for the same VM',
    known: { sameOrder: { ...SAME, generation: 4 } },
    expect: 'stale',
  },
  { story: 'an older generation is refused (rule 1)', known: { generation: 6 }, expect: 'stale' },
  { story: 'the same generation is the same intention', known: { generation: 5 }, expect: 'run' },
  { story: 'a lower epoch is refused (rule 1)', known: { epoch: 4 }, expect: 'stale' },
  { story: 'a passed deadline is refused', order: { deadlineAt: NOW }, known: {}, expect: 'timeout' },
  {
    story: 'one order at a time works on a VM',
    known: { working: { orderId: 'o0/stop', kind: 'stop-vm' } },
    expect: 'busy',
  },
  {
    story: "a backup is in nobody's way: it stands aside",
    order: { kind: 'send-live', moveId: 'm1' },
    known: { backingUp: { orderId: 'o0/backup', kind: 'backup-vm' } },
    expect: 'run',
  },
  {
    story: 'but two backups of one VM at once are one too many',
    order: { kind: 'backup-vm' },
    known: { backingUp: { orderId: 'o0/backup', kind: 'backup-vm' } },
    expect: 'busy',
  },
  {
    story: 'a VM that an order works on is not backed up',
    order: { kind: 'backup-vm' },
    known: { working: { orderId: 'o0/stop', kind: 'stop-vm' } },
    expect: 'busy',
  },
  ...(['in', 'out'] as const).flatMap(direction =>
    (['backup-vm', 'restore-vm', 'boot-test'] as const).map(kind => ({
      story: `a move ${direction} leaves no room for ${kind}, under no epoch`,
      order: { kind, epoch: 9 },
      known: { move: direction === 'in' ? arriving : leaving },
      expect: 'refused',
    })),
  ),
  { story: 'a VM that left is not started', known: { move: leaving }, expect: 'refused' },
  {
    story: 'a VM that left is not resumed',
    order: { kind: 'resume-vm' },
    known: { move: leaving },
    expect: 'refused',
  },
  {
    story: 'a VM that left is started under a higher epoch: the controller knows that it runs nowhere',
    order: { epoch: 4 },
    known: { move: leaving },
    expect: 'run',
  },
  {
    story: 'a VM that arrives is not started, under no epoch',
    order: { epoch: 9 },
    known: { move: arriving },
    expect: 'refused',
  },
  { story: 'nor resumed', order: { kind: 'resume-vm' }, known: { move: arriving }, expect: 'refused' },
  {
    story: 'the order of the move itself goes through',
    order: { kind: 'confirm-incoming', moveId: 'm1' },
    known: { move: arriving },
    expect: 'run',
  },
  {
    story: 'the order of another move does not',
    order: { kind: 'send-live', moveId: 'm2' },
    known: { move: leaving },
    expect: 'refused',
  },
  {
    story: 'a VM that left may be told to stop',
    order: { kind: 'stop-vm' },
    known: { move: leaving },
    expect: 'run',
  },
]

for (const { story, order: change, known, expect } of CASES) {
  test(story, () => {
    const decision = decideOrder(order(change), { ...NOTHING, ...known }, NOW)
    assert.equal(decision.action === 'refuse' ? decision.code : decision.action, expect)
  })
}
