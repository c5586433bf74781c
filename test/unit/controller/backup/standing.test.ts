import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findPoint } from '../../../../controller/backup/find-point.ts'
import { tellingFailures } from '../../../../controller/backup/known.ts'
import { planNights } from '../../../../controller/backup/plan-nights.ts'
import { defaultControllerConfig } from '../../../../controller/config.ts'
import type { BackupOutcome } from '../../../../controller/store/backups.ts'
import { HOUR_MS } from '../../../../shared/domain/units.ts'
import type { LifeboatError } from '../../../../shared/errors.ts'
import { type BackupSketch, backups, bootTest, point } from '../../../fakes/backup-sketch.ts'
import { fleet, NIGHT, vmNamed } from '../../../fakes/fleet-builder.ts'

const WORLD = fleet({
  blades: [{ name: 'blade01' }],
  vms: [
    { name: 'web01', blade: 'blade01' },
    { name: 'db01', blade: 'blade01' },
  ],
})
const onBlade01 = () => new Set(['blade01'])
const standing = (sketch: BackupSketch) => backups(sketch).standingOf(vmNamed(WORLD, 'web01'), NIGHT)

const CASES: readonly { name: string; sketch: BackupSketch; overdue: boolean; text: string }[] = [
  {
    name: 'last night',
    sketch: { points: [point('web01', 20)] },
    overdue: false,
    text: 'backed up 20 h ago',
  },
  {
    name: 'two nights ago',
    sketch: { points: [point('web01', 44)] },
    overdue: true,
    text: 'backed up 44 h ago: overdue',
  },
  { name: 'never', sketch: {}, overdue: true, text: 'never backed up: overdue' },
  {
    name: 'damaged last night, whole the night before',
    sketch: { points: [point('web01', 20, { state: 'damaged' }), point('web01', 44)] },
    overdue: true,
    text: 'backed up 44 h ago: overdue',
  },
  {
    name: 'off',
    sketch: { points: [point('web01', 400)], tags: { web01: { backup: 'off' } } },
    overdue: false,
    text: 'backed up 16 d 16 h ago; its backups are off',
  },
  {
    name: 'without a vault',
    sketch: { vaults: [] },
    overdue: false,
    text: 'never backed up; there is no vault to back up to',
  },
]

for (const { name, sketch, overdue, text } of CASES) {
  test(`backed up ${name}: ${text}`, () => {
    const found = standing(sketch)
    assert.deepEqual([found.overdue, found.text], [overdue, text])
  })
}

test('a try that failed since the newest restore point is told with its reason, an older one not', () => {
  const outcome = (hoursAgo: number, text: string): BackupOutcome => ({
    vmId: 'id-web01',
    at: NIGHT - hoursAgo * HOUR_MS,
    ok: text === '',
    blade: 'blade01',
    source: 'schedule',
    text,
  })
  const told = (...outcomes: BackupOutcome[]) =>
    tellingFailures(backups({ points: [point('web01', 20)] }), outcomes).standingOf(
      vmNamed(WORLD, 'web01'),
      NIGHT,
    ).text
  const failed = 'backed up 20 h ago; the newest try failed 2 h ago: the vault is full'
  assert.equal(told(outcome(2, 'the vault is full'), outcome(4, 'no snapshot')), failed)
  assert.equal(told(outcome(30, 'the vault is full')), 'backed up 20 h ago')
  assert.equal(told(outcome(1, ''), outcome(2, 'the vault is full')), 'backed up 20 h ago')
})

test('verified is hashed again or booted; the recovery time is that of the newest test that ran', () => {
  const points = [
    point('web01', 4),
    point('web01', 28, { bootedAt: NIGHT, bootError: 'no sign of life' }),
    point('web01', 52, { checkedAt: NIGHT }),
    point('web01', 76, { bootedAt: NIGHT, recoveryMs: 70_000 }),
  ]
  assert.equal(standing({ points }).newestVerifiedAt, NIGHT - 52 * HOUR_MS)
  assert.equal(standing({ points }).recoveryMs, 70_000, 'what the vault remembers')
  const tests = [bootTest('web01', 1, false), bootTest('web01', 25, true)]
  assert.equal(standing({ points, tests }).recoveryMs, 42_000)
})

test('the point that is meant: the newest whole one, of the VM that has the name now', () => {
  const points = [
    point('web01', 4, { state: 'damaged' }),
    point('web01', 28),
    point('web01', 2, { vmId: 'id-gone' }),
    point('old01', 100, { vmId: 'id-a' }),
    point('old01', 90, { vmId: 'id-b' }),
  ]
  const find = (vm: string, name = '') => findPoint(points, WORLD.vms, { vm, point: name }, onBlade01)
  assert.equal(find('web01').at, NIGHT - 28 * HOUR_MS)
  assert.equal(find('id-gone').vmId, 'id-gone')
  assert.throws(() => find('old01'), /2 VMs were called old01/)
  assert.equal(find('id-b').at, NIGHT - 90 * HOUR_MS)
  assert.throws(() => find('new01'), { code: 'not-found', message: /lifeboat backup list shows all/ })
  assert.throws(() => find('db01'), { code: 'not-found', message: /make one: lifeboat backup run db01$/ })
  assert.throws(() => find('web01', '20200101T000000Z'), /has no restore point 20200101T000000Z/)
  assert.throws(
    () => findPoint(points.slice(0, 1), [], { vm: 'web01', point: '' }, onBlade01),
    /no restore point of web01 is whole/,
  )
})

test('with none named, only a blade where the VM was seen is believed; another is named in the refusal', () => {
  const forged = point('web01', 1, { blade: 'blade09' })
  const points = [forged, point('web01', 28), point('web01', 40, { blade: '' })]
  const find = (of: typeof points, name: string, blades: readonly string[]) =>
    findPoint(of, WORLD.vms, { vm: 'web01', point: name }, () => new Set(blades))
  assert.equal(find(points, '', ['blade01']).at, NIGHT - 28 * HOUR_MS)
  assert.equal(find(points, '', ['blade01', 'blade09']), forged, 'it was moved there')
  assert.equal(find(points, '', []).at, NIGHT - 40 * HOUR_MS, 'put in by hand on the host of the vault')
  assert.equal(find(points, forged.point, []), forged, 'a person names it')
  assert.throws(
    () => find(points.slice(0, 1), '', ['blade01']),
    (error: LifeboatError) => {
      assert.equal(error.code, 'refused')
      assert.match(error.message, /written by blade09, where this controller has never seen that VM/)
      assert.match(error.details.join(), new RegExp(`name it: web01@${forged.point}`))
      return true
    },
  )
})

test('the plan: the soonest first, one after the other on a blade, with what the last ones took', () => {
  const config = { ...defaultControllerConfig().backup, jitterMs: 0 }
  const known = backups({
    config,
    points: [point('web01', 20), point('web01', 44, { durationMs: 1_200_000 }), point('db01', 20)],
  })
  const nights = planNights(WORLD.vms, known, config, NIGHT)
  assert.deepEqual(
    nights.map(night => night.vm.name),
    ['db01', 'web01'],
  )
  const [db, web] = nights
  assert.ok(db && web)
  assert.equal(db.nextAt, web.nextAt)
  assert.equal(db.expectedEndAt, db.nextAt + 600_000)
  assert.equal(web.expectedMs, 1_200_000, 'the median of two is the longer')
  assert.equal(web.expectedEndAt, db.expectedEndAt + 1_200_000)
  const off = backups({ config, tags: { db01: { backup: 'off' } } })
  assert.equal(planNights(WORLD.vms, off, config, NIGHT).find(each => each.vm.name === 'db01')?.nextAt, 0)
})
