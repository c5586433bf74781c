import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MIGRATIONS } from '../../../../controller/store/migrations.ts'
import { EMPTY_OPERATION, type OperationKind } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { VaultStatus } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { bootTest, point } from '../../../fakes/backup-sketch.ts'

function withStore(act: (store: Store) => void): void {
  const store = openStore(':memory:')
  try {
    act(store)
  } finally {
    store.close()
  }
}
const depot = { name: 'depot', address: 'depot:7423', addedAt: 1 }

test('a backup and a boot test stand beside an operation that changes the VM, but not twice', () =>
  withStore(({ operations }) => {
    let number = 0
    const add = (kind: OperationKind) =>
      operations.add({ ...EMPTY_OPERATION, id: `o${++number}`, kind, vmId: 'vm-1' })
    add('backup')
    add('move')
    add('boot-test')
    assert.equal(operations.activeOf('vm-1')?.kind, 'move')
    assert.equal(operations.readingOf('vm-1', 'backup')?.id, 'o1')
    for (const kind of ['backup', 'boot-test', 'stop', 'restore'] as const)
      assert.throws(() => add(kind), kind)
  }))

test('a vault is remembered with what it said last, its points, and its certificates until it is removed', () =>
  withStore(({ vaults, points }) => {
    vaults.add(depot)
    vaults.update('depot', {
      joinedAt: 5,
      status: VaultStatus.fromPartial({ name: 'depot', points: 2 }),
      seenAt: 7,
    })
    vaults.addCertificate('depot', 'ff00', 99)
    points.replace('depot', [point('web01', 5), point('web01', 29), point('db01', 5)])
    assert.equal(vaults.get('depot')?.status?.points, 2)
    assert.deepEqual(
      points.list().map(each => each.vm),
      ['db01', 'web01', 'web01'],
    )
    points.save('depot', { ...point('db01', 5), checkedAt: 11 })
    assert.equal(points.list()[0]?.checkedAt, 11)
    points.replace('depot', [point('web01', 5)])
    assert.equal(points.list().length, 1)
    assert.ok(vaults.hasCertificate('depot', 'ff00'))
    vaults.remove('depot')
    points.forget()
    assert.deepEqual(points.list(), [])
    assert.equal(vaults.hasCertificate('depot', 'ff00'), false)
  }))

test('tags are by VM, and one that is set again has its new value', () =>
  withStore(({ tags }) => {
    tags.set('vm-1', 'backup', 'off')
    tags.set('vm-1', 'backup', 'freeze')
    tags.set('vm-2', 'backup', 'crash')
    tags.remove('vm-2', 'backup')
    assert.deepEqual([...tags.all()], [['vm-1', { backup: 'freeze' }]])
    assert.deepEqual(tags.of('vm-2'), {})
  }))

test('an outcome told twice is one; old ones go, the newest boot test of a VM stays', () =>
  withStore(({ backups }) => {
    const outcome = { vmId: 'vm-1', at: 5, ok: false, blade: 'blade01', source: 'schedule', text: 'no room' }
    backups.addOutcome(outcome)
    backups.addOutcome(outcome)
    backups.addOutcome({ ...outcome, at: 50 })
    assert.deepEqual(
      backups.outcomes().map(each => [each.at, each.ok]),
      [
        [50, false],
        [5, false],
      ],
    )
    backups.addBootTest(bootTest('web01', 0, true, { operation: 'o1', at: 3 }))
    backups.addBootTest(bootTest('web01', 0, false, { operation: 'o2', at: 2 }))
    backups.bootTestTold('o1', 4)
    assert.equal(backups.prune(10), 2)
    assert.deepEqual(
      backups.bootTests().map(each => [each.operation, each.ok, each.toldAt]),
      [['o1', true, 4]],
    )
    assert.equal(backups.outcomes().length, 1)
  }))

test('a database of the version before backups is taken over with all it holds', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lifeboat-store-'))
  try {
    const path = join(dir, 'controller.sqlite')
    const old = openDatabase(path, MIGRATIONS.slice(0, 1))
    old.exec(`INSERT INTO vms VALUES ('vm-1', 'web01', 3, 4, '', 0, '');
      INSERT INTO tokens VALUES ('h', 'blade01', 1, 2, 0);
      INSERT INTO operations VALUES ('o1', 'move', 'running', 'vm-1', 'web01', 'a', 'b', 'live', 'p1', '', 'c', 'anna',
        1, 0, 2, '[]', 0, 0, 0, 0, '', '', '', '', 0);`)
    old.close()
    const store = openStore(path)
    assert.deepEqual([store.vms.get('vm-1')?.epoch, store.vms.get('vm-1')?.firstSeenAt], [3, 0])
    assert.equal(store.tokens.get('h')?.role, 'blade')
    assert.equal(store.operations.activeOf('vm-1')?.point, '')
    store.close()
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
