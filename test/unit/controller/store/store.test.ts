import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MIGRATIONS } from '../../../../controller/store/migrations.ts'
import { EMPTY_OPERATION, type OperationRecord } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { OrderStatus } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { vm } from '../../../fakes/agent-reports.ts'

function withStore(act: (store: Store) => void): void {
  const store = openStore(':memory:')
  try {
    act(store)
  } finally {
    store.close()
  }
}

function operation(id: string, change: Partial<OperationRecord> = {}): OperationRecord {
  return {
    ...EMPTY_OPERATION,
    id,
    vmId: 'vm-1',
    vm: 'web01',
    from: 'blade01',
    to: 'blade02',
    method: 'live',
    plan: 'p1',
    cause: 'c',
    requestedBy: 'anna',
    startedAt: 1,
    deadlineAt: 2,
    steps: [{ name: 'reserve', state: 'done', startedAt: 1, endedAt: 2, error: '' }],
    reservation: { operation: id, vmId: 'vm-1', vmName: 'web01', memoryBytes: 1, volumes: [] },
    ...change,
  }
}

test('what was stored is there after the database is opened again', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lifeboat-store-'))
  try {
    const path = join(dir, 'controller.sqlite')
    const first = openStore(path)
    first.blades.add({
      name: 'blade01',
      chassis: 'c1',
      slot: 3,
      feeds: ['a', 'b'],
      switches: ['s'],
      addedAt: 5,
    })
    first.operations.add(operation('o1'))
    first.settings.setAutomation({ paused: true, reason: 'why', pausedBy: 'anna', since: 7 })
    first.close()
    const second = openStore(path)
    assert.deepEqual(second.blades.get('blade01')?.feeds, ['a', 'b'])
    assert.deepEqual(second.operations.get('o1'), operation('o1'))
    assert.equal(second.settings.automation().pausedBy, 'anna')
    second.close()
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('a token is used by exactly one of all who try, and never after its time', () =>
  withStore(({ tokens }) => {
    tokens.add({ secretHash: 'h1', blade: 'blade01', role: 'blade', createdAt: 0, expiresAt: 100 })
    tokens.add({ secretHash: 'h2', blade: 'blade02', role: 'blade', createdAt: 0, expiresAt: 100 })
    assert.deepEqual(
      [tokens.use('h1', 99), tokens.use('h1', 99), tokens.use('h2', 100)],
      [true, false, false],
    )
  }))

test('the epoch of a VM never falls, and each intention has a higher generation', () =>
  withStore(({ vms }) => {
    const web = vm('web01', 1)
    vms.seen({ ...web, epoch: 4 }, 7)
    assert.deepEqual(vms.raise(web.id, true), { epoch: 5, generation: 1 })
    vms.seen({ ...web, epoch: 4 }, 7)
    assert.deepEqual(vms.raise(web.id, false), { epoch: 5, generation: 2 })
    assert.equal(vms.seen({ ...web, epoch: 5, name: 'renamed' }, 9), true)
    assert.equal(vms.get(web.id)?.name, 'renamed')
  }))

test('where a VM was seen or put is remembered, also of a blade that is gone', () =>
  withStore(({ vms }) => {
    const web = vm('web01', 1)
    vms.seen(web, 7)
    vms.seenOn(web.id, 'blade01', 7)
    vms.seenOn(web.id, 'blade01', 8)
    vms.place(web.id, 'blade02', 9, web)
    assert.deepEqual([...vms.bladesOf(web.id)].sort(), ['blade01', 'blade02'])
    assert.deepEqual([...vms.bladesOf('nobody')], [])
  }))

test('a database of before learns where its VMs were from what it has', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lbs-'))
  const path = join(dir, 'controller.db')
  try {
    const before = openDatabase(path, MIGRATIONS.slice(0, 2))
    const blade = before.prepare(
      "INSERT INTO blades VALUES (?, '', 1, '', '', 4, '', '', 0, 0, '', '', '', '', ?, 5)",
    )
    blade.run('blade01', JSON.stringify({ vms: [{ id: 'vm-1' }, { id: 'vm-2' }] }))
    blade.run('blade02', '')
    before.exec("INSERT INTO vms VALUES ('vm-2', 'db01', 1, 1, 'blade03', 4, '', 0)")
    before.close()
    const store = openStore(path)
    assert.deepEqual([...store.vms.bladesOf('vm-1')], ['blade01'])
    assert.deepEqual([...store.vms.bladesOf('vm-2')].sort(), ['blade01', 'blade03'])
    store.close()
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('the database itself refuses a second operation on a VM', () =>
  withStore(({ operations }) => {
    operations.add(operation('o1'))
    assert.throws(() => operations.add(operation('o2')), /UNIQUE/)
    operations.update('o1', { endedAt: 9, state: 'needs-admin' })
    operations.add(operation('o2'))
    assert.deepEqual(
      operations.unsettled().map(each => each.id),
      ['o1'],
    )
    operations.settleOf('vm-1', 10)
    assert.deepEqual(operations.unsettled(), [])
  }))

test('a transaction that throws leaves nothing behind', () =>
  withStore(store => {
    assert.throws(() =>
      store.transaction(() => {
        store.operations.add(operation('o1'))
        throw new Error('half way')
      }),
    )
    assert.equal(store.operations.get('o1'), undefined)
  }))

test('names count up by kind', () =>
  withStore(({ settings }) => {
    assert.deepEqual(
      [settings.nextNumber('plan'), settings.nextNumber('plan'), settings.nextNumber('alert')],
      [1, 2, 1],
    )
  }))

test('the newest of many operations comes first, also beyond the ninth', () =>
  withStore(({ operations }) => {
    for (let number = 1; number <= 11; number += 1)
      operations.add(operation(`o${number}`, { vmId: `vm-${number}` }))
    assert.deepEqual(
      operations.list({ all: true, limit: 2 }).map(each => each.id),
      ['o11', 'o10'],
    )
  }))

test('an order keeps its commands apart from its newest status', () =>
  withStore(({ orders }) => {
    const command = {
      argv: ['virsh'],
      exitCode: 0,
      startedAt: 1,
      durationMs: 1,
      stderrTail: '',
      blade: 'blade01',
    }
    const status = OrderStatus.fromPartial({ orderId: 'o1/send', state: 'running' })
    orders.save({
      id: 'o1/send',
      operation: 'o1',
      blade: 'blade01',
      state: 'running',
      status,
      agentSteps: [],
      commands: [command],
      endedAt: 0,
    })
    assert.deepEqual(orders.get('o1/send')?.commands, [command])
    assert.deepEqual(orders.get('o1/send')?.status.commands, [])
    assert.equal(orders.ofOperation('o1').length, 1)
  }))

test('a message is put into the outbox once, whoever adds it again', () =>
  withStore(({ outbox }) => {
    const entry = { dedupeKey: 'a1/1/log', notifier: 'log', alert: 'a1', payload: '{}' }
    outbox.add(entry)
    outbox.add(entry)
    assert.equal(outbox.waiting(10).length, 1)
  }))
