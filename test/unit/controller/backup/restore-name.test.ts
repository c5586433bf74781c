import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkName, checkNewName } from '../../../../controller/backup/restore-name.ts'
import { EMPTY_OPERATION, type OperationRecord } from '../../../../controller/store/operations.ts'
import type { OrderRecord } from '../../../../controller/store/orders.ts'
import { MINUTE_MS } from '../../../../shared/domain/units.ts'
import { fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

const POINT = { vm: 'web01', point: '20261128T020512Z' }
const SAVED = { id: 'id-web01', name: 'web01' }
const HALF: OperationRecord = {
  ...EMPTY_OPERATION,
  id: 'o7',
  kind: 'restore',
  state: 'needs-admin',
  vmId: SAVED.id,
  vm: SAVED.name,
  to: 'blade02',
  endedAt: NIGHT - MINUTE_MS,
}

interface Known {
  readonly half?: Partial<OperationRecord>
  /** When the agent told the end of the order; undefined: no order ever went out. */
  readonly orderEndedAt?: number
  readonly blade02?: { readonly liveness?: 'up' | 'silent'; readonly lastReportAt?: number } | 'removed'
  readonly newName?: string
}

/** Why the VM may not come back; empty: it may. */
function why({ half = {}, orderEndedAt, blade02 = {}, newName = '' }: Known): string {
  const world = fleet({ blades: [{ name: 'blade01' }, { name: 'blade02' }], vms: [] })
  const blades = world.blades
    .filter(blade => blade.name !== 'blade02' || blade02 !== 'removed')
    .map(blade => (blade.name === 'blade02' && blade02 !== 'removed' ? { ...blade, ...blade02 } : blade))
  const operation = { ...HALF, ...half }
  const store = {
    operations: { unsettled: () => (operation.settledAt === 0 ? [operation] : []) },
    orders: {
      get: (id: string) =>
        id === 'o7/restore' && orderEndedAt !== undefined
          ? ({ endedAt: orderEndedAt } as OrderRecord)
          : undefined,
    },
  }
  try {
    checkName({ newName }, POINT, SAVED, { snapshot: { ...world, blades }, store })
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

const UNKNOWN = /may have been restored on blade02 by operation o7/

test('a VM whose restore ended half way comes back only when it is known that it does not run there (rule 1)', () => {
  const told = { orderEndedAt: NIGHT - 2 * MINUTE_MS }
  const seen = { liveness: 'up', lastReportAt: NIGHT } as const
  assert.match(why({ ...told, blade02: { liveness: 'silent', lastReportAt: NIGHT } }), UNKNOWN)
  assert.match(why({ ...told, blade02: { ...seen, lastReportAt: HALF.endedAt } }), UNKNOWN, 'not heard since')
  assert.match(why({ orderEndedAt: 0, blade02: seen }), UNKNOWN, 'its agent may still be at it')
  assert.equal(why({ ...told, blade02: seen }), '')
  assert.match(why({ orderEndedAt: NIGHT, blade02: seen }), UNKNOWN, 'the end was told after that report')
})

test('nobody waits for a blade that was removed, a restore that a person settled, or one of another VM', () => {
  const silent = { liveness: 'silent' } as const
  assert.equal(why({ blade02: 'removed' }), '')
  assert.equal(why({ half: { settledAt: NIGHT }, blade02: silent }), '')
  assert.equal(why({ half: { vmId: 'id-db01' }, blade02: silent }), '')
  assert.equal(why({ half: { kind: 'move' }, blade02: silent }), '', 'its ends are seen by the reports')
  assert.equal(why({ newName: 'web02', blade02: silent }), '', 'a copy is another VM')
})

test('a name that is taken asks for another one; nobody is told to stop what is stopped', () => {
  const there = [{ name: 'web01', blade: 'blade01', state: 'stopped' as const }]
  const snapshot = fleet({ blades: [{ name: 'blade01' }], vms: there })
  const store = { operations: { unsettled: () => [] }, orders: { get: () => undefined } }
  const restore = (saved: typeof SAVED, newName: string) => () =>
    checkName({ newName }, POINT, saved, { snapshot, store })
  assert.throws(restore({ id: 'id-db01', name: 'db01' }, 'web01'), {
    message: 'a VM named web01 is there already, on blade01 (stopped): choose another --name',
    details: [],
  })
  assert.throws(restore(SAVED, ''), {
    message: 'web01 is on blade01 (stopped)',
    details: [
      'restore it beside that one: `lifeboat backup restore web01@20261128T020512Z --name NAME`',
      'or remove that one first: `virsh undefine` on blade01',
    ],
  })
})

test('the name of a copy can be typed: no @, which means a restore point, and no blank that nobody sees', () => {
  for (const newName of ['web01-copy', 'Web 01', 'wéb']) assert.doesNotThrow(() => checkNewName({ newName }))
  for (const newName of [
    'web01@20261128T020512Z',
    'a@b',
    ' web01',
    'web01 ',
    '-web',
    'a/b',
    'lifeboat-test-1',
  ]) {
    assert.throws(() => checkNewName({ newName }), { code: 'bad-input' }, newName)
  }
})
