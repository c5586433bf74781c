import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BACKUP_ALERTS } from '../../../../controller/alerts/catalog-backup.ts'
import { alertEdits } from '../../../../controller/alerts/visible.ts'
import { type BackupFindingSources, backupFindings } from '../../../../controller/backup/backup-findings.ts'
import { type Case, DEFAULT_HOLDS, type Finding } from '../../../../controller/diagnosis/case.ts'
import { updateCases } from '../../../../controller/diagnosis/update-cases.ts'
import type { BackupOutcome } from '../../../../controller/store/backups.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../shared/domain/units.ts'
import { type BackupSketch, backups, bootTest, point, vaultRecord } from '../../../fakes/backup-sketch.ts'
import { fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

const WORLD = fleet({
  blades: [{ name: 'blade01' }, { name: 'blade02' }],
  vms: [
    { name: 'web01', blade: 'blade01' },
    { name: 'web02', blade: 'blade01' },
    { name: 'db01', blade: 'blade02' },
    { name: 'app01', blade: 'blade02' },
  ],
})
const FRESH = WORLD.vms.map(vm => point(vm.name, 10))
const without = (...names: string[]) => FRESH.filter(each => !names.includes(each.vm))

function find(sketch: BackupSketch, change: Partial<BackupFindingSources> = {}): Finding[] {
  return backupFindings({
    now: NIGHT,
    snapshot: WORLD,
    known: backups({ points: FRESH, ...sketch }),
    outcomes: [],
    listeningSince: NIGHT - HOUR_MS,
    ...change,
  })
}
const keys = (sketch: BackupSketch, change: Partial<BackupFindingSources> = {}) =>
  find(sketch, change).map(({ key, severity }) => `${key} ${severity}`)
const problem = (code: string, rest: object = {}) => ({
  code,
  text: `text of ${code}`,
  chunk: '',
  points: [],
  since: 1,
  ...rest,
})

const CASES: readonly { name: string; sketch: BackupSketch; expect: readonly string[] }[] = [
  { name: 'all is well', sketch: {}, expect: [] },
  {
    name: 'one VM without a backup',
    sketch: { points: without('web01') },
    expect: ['backup-overdue/id-web01 moderate'],
  },
  {
    name: 'all VMs of one blade: one case',
    sketch: { points: without('web01', 'web02') },
    expect: ['backup-overdue/blade01 moderate'],
  },
  {
    name: 'most of the fleet: one case',
    sketch: { points: without('web01', 'web02', 'db01') },
    expect: ['backup-overdue/depot moderate'],
  },
  {
    name: 'one that is off',
    sketch: { points: without('web01'), tags: { web01: { backup: 'off' } } },
    expect: [],
  },
  { name: 'no vault at all', sketch: { points: [], vaults: [] }, expect: [] },
  {
    name: 'a vault that does not answer',
    sketch: { vaults: [vaultRecord({}, { error: 'no answer', failingSince: NIGHT - MINUTE_MS })] },
    expect: ['vault-unreachable/depot moderate'],
  },
  {
    name: 'a vault that has not joined yet',
    sketch: { vaults: [vaultRecord({}, { joinedAt: 0, error: 'x' })] },
    expect: [],
  },
  {
    name: 'a vault that takes nothing more',
    sketch: { vaults: [vaultRecord({ accepts: false, problems: [problem('vault-full')] })] },
    expect: ['vault-full/depot severe'],
  },
  {
    name: 'a vault with 8 % left',
    sketch: { vaults: [vaultRecord({ freeBytes: 8, sizeBytes: 100 })] },
    expect: ['vault-full/depot moderate'],
  },
  {
    name: 'a clock an hour off',
    sketch: { vaults: [vaultRecord({}, { clockOffsetMs: -HOUR_MS })] },
    expect: ['vault-clock-off/depot moderate'],
  },
  {
    name: 'a clock two minutes off',
    sketch: { vaults: [vaultRecord({}, { clockOffsetMs: 2 * MINUTE_MS })] },
    expect: [],
  },
  {
    name: 'a newest restore point that is damaged',
    sketch: {
      points: [...FRESH, point('web01', 5, { state: 'damaged', stateText: 'its index is cut off' })],
    },
    expect: ['restore-point-damaged/depot/web01 severe'],
  },
  {
    name: 'an older one, of a newer version',
    sketch: { points: [...FRESH, point('web01', 50, { state: 'unreadable', stateText: 'version 2' })] },
    expect: ['restore-point-damaged/depot/web01 moderate'],
  },
  {
    name: 'a boot test that failed',
    sketch: { tests: [bootTest('web01', 2, false), bootTest('web01', 30, true)] },
    expect: ['boot-test-failed/id-web01 moderate'],
  },
  {
    name: 'one that was healed by a newer',
    sketch: { tests: [bootTest('web01', 2, true), bootTest('web01', 30, false)] },
    expect: [],
  },
]

for (const { name, sketch, expect } of CASES)
  test(`${name}: ${expect.join(', ') || 'nothing'}`, () => assert.deepEqual(keys(sketch), expect))

test('the VM of a boot test that no operation works on is told once it is there for longer than any test', () => {
  const left = (operation: string, liveness: 'up' | 'silent' = 'up') => {
    const vmName = 'lifeboat-test-01234567'
    const reservation = { operation, vmId: 'id-t', vmName, memoryBytes: 1, volumes: [] }
    const [blade, ...others] = WORLD.blades
    const blades = [{ ...(blade ?? assert.fail()), liveness, reservations: [reservation] }, ...others]
    return find({}, { snapshot: { ...WORLD, blades } })
  }
  assert.deepEqual(left('o7'), [])
  assert.deepEqual(left('', 'silent'), [], 'what a silent blade has is not known')
  const found = left('')
  assert.deepEqual(
    found.map(({ key, severity }) => `${key} ${severity}`),
    ['boot-test-left/blade01/lifeboat-test-01234567 info'],
  )
  const at = (now: number, pending: ReadonlyMap<string, number>) =>
    updateCases([], found, now, DEFAULT_HOLDS, () => 'c1', pending)
  const { pending, opened } = at(NIGHT, new Map())
  assert.deepEqual(opened, [])
  assert.deepEqual(at(NIGHT + 5 * HOUR_MS, pending).opened, [])
  const [told] = at(NIGHT + 6 * HOUR_MS, pending).opened
  const next = BACKUP_ALERTS['boot-test-left'].next(told ?? assert.fail('nothing is told'))
  assert.match(next, /On blade01: .*virsh undefine --nvram lifeboat-test-01234567/)
})

test('a corrupt chunk is named with the restore points it touches, which are no cases of their own', () => {
  const bad = point('web01', 10, { state: 'damaged', stateText: 'chunk ab12 is corrupt' })
  const problems = [
    problem('chunk-corrupt', { chunk: 'ab12', points: [{ vmId: bad.vmId, point: bad.point }] }),
  ]
  const [found, ...others] = find({
    points: [...without('web01'), bad, point('web01', 34)],
    vaults: [vaultRecord({ problems })],
  })
  assert.deepEqual(others, [])
  assert.equal(found?.code, 'chunk-corrupt')
  assert.equal(found.evidence, `1 chunk corrupt (ab12), in 1 restore point: web01 ${bad.point}`)
})

test('one failure is not told, two in a row are, and a newer restore point ends it', () => {
  const failed = (hoursAgo: number): BackupOutcome => ({
    vmId: 'id-web01',
    at: NIGHT - hoursAgo * HOUR_MS,
    ok: false,
    blade: 'blade01',
    source: 'schedule',
    text: 'no room for a snapshot in vg0',
  })
  assert.deepEqual(keys({}, { outcomes: [failed(1)] }), [])
  assert.deepEqual(keys({}, { outcomes: [failed(1), failed(2)] }), ['backup-failed/id-web01 moderate'])
  assert.deepEqual(keys({}, { outcomes: [failed(11), failed(12)] }), [], 'the restore point is from 10 h ago')
})

test('right after a start nobody is overdue by what was known before it', () => {
  const stale = { points: without('web01'), vaults: [vaultRecord({}, { seenAt: NIGHT - 100 * HOUR_MS })] }
  assert.deepEqual(keys(stale, { listeningSince: NIGHT - MINUTE_MS }), [])
  assert.equal(keys(stale, { listeningSince: NIGHT - 10 * MINUTE_MS }).length, 1)
})

test('a vault that is away is one alert: what follows from it is told with it', () => {
  const found = find({
    points: [],
    vaults: [vaultRecord({}, { error: 'the vault depot does not answer', failingSince: NIGHT - HOUR_MS })],
  })
  const cases = found.map(
    (finding, index): Case => ({
      ...finding,
      id: `c${index}`,
      openedAt: NIGHT,
      lastFoundAt: NIGHT,
      quietSince: 0,
      closedAt: 0,
    }),
  )
  assert.deepEqual(cases.map(each => each.code).sort(), ['backup-overdue', 'vault-unreachable'])
  const raised = alertEdits(cases, [], NIGHT, WORLD).filter(edit => edit.kind === 'raise')
  assert.deepEqual(
    raised.map(edit => edit.alert.title),
    ['vault depot: does not answer'],
  )
})

test('the words do not move by themselves: no age, no free bytes, no seconds of a clock', () => {
  const sketch = (seconds: number): BackupSketch => ({
    points: without('web01'),
    vaults: [
      vaultRecord(
        { freeBytes: 9 - seconds / 1000, sizeBytes: 100 },
        { clockOffsetMs: HOUR_MS + seconds * 1000 },
      ),
    ],
  })
  const words = (seconds: number) =>
    find(sketch(seconds), { now: NIGHT + seconds * 1000 }).map(({ evidence }) => evidence)
  assert.deepEqual(words(0), words(50))
})
