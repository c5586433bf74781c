import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatPoint } from '../../agent/vault/format/point.ts'
import {
  decideByWriter,
  decideRetention,
  NO_POLICY,
  type RetentionPolicy,
} from '../../agent/vault/store/retention.ts'

const SEED = 20_261_128
const check = <T>(property: fc.IProperty<T>) => fc.assert(property, { seed: SEED, numRuns: 500 })
console.log(`retention properties: seed ${SEED}`)

type Point = Parameters<typeof decideRetention>[0][number]

const HOUR_MS = 3_600_000
/** 120 days, to the hour: several on one day, gaps of weeks, months of any length. */
const moments = fc.uniqueArray(fc.integer({ min: 0, max: 120 * 24 }), { maxLength: 40 })
const start = Date.UTC(2026, 0, 31)

const points: fc.Arbitrary<readonly Point[]> = moments.chain(hours =>
  fc.tuple(
    ...hours.map(hour =>
      fc.record({
        point: fc.constant(formatPoint(start + hour * HOUR_MS)),
        whole: fc.boolean(),
        verified: fc.boolean(),
        readable: fc.constantFrom(true, true, true, false),
        inUse: fc.constantFrom('', '', '', 'being read'),
      }),
    ),
  ),
)
const count = fc.integer({ min: 0, max: 8 })
const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  keepLast: count,
  keepDaily: count,
  keepWeekly: count,
  keepMonthly: count,
})

function kept(of: readonly Point[], by: RetentionPolicy): ReadonlySet<string> {
  return new Set(decideRetention(of, by).flatMap(verdict => (verdict.keep ? [verdict.point] : [])))
}

function newest(of: readonly Point[]): string | undefined {
  return of
    .map(({ point }) => point)
    .sort()
    .at(-1)
}

const isUnlimited = (by: RetentionPolicy) => Object.values(by).every(value => value === 0)

test('the newest verified and the newest whole restore point are never dropped', () => {
  check(
    fc.property(points, policy, (of, by) => {
      const stays = kept(of, by)
      const whole = of.filter(point => point.whole)
      for (const must of [newest(whole), newest(whole.filter(point => point.verified))]) {
        if (must !== undefined) assert.ok(stays.has(must), must)
      }
    }),
  )
})

test('what is being read, and what cannot be read, stays', () => {
  check(
    fc.property(points, policy, (of, by) => {
      const stays = kept(of, by)
      for (const point of of) if (point.inUse !== '' || !point.readable) assert.ok(stays.has(point.point))
    }),
  )
})

test('a larger policy never keeps less', () => {
  check(
    fc.property(points, policy, policy, (of, small, more) => {
      fc.pre(!isUnlimited(small))
      const large = {
        keepLast: small.keepLast + more.keepLast,
        keepDaily: small.keepDaily + more.keepDaily,
        keepWeekly: small.keepWeekly + more.keepWeekly,
        keepMonthly: small.keepMonthly + more.keepMonthly,
      }
      const stays = kept(of, large)
      for (const point of kept(of, small)) assert.ok(stays.has(point), point)
    }),
  )
})

test('a newer restore point never brings a dropped one back', () => {
  check(
    fc.property(points, policy, fc.boolean(), fc.boolean(), (of, by, whole, verified) => {
      const next: Point = {
        point: formatPoint(start + 121 * 24 * HOUR_MS),
        whole,
        verified,
        readable: true,
        inUse: '',
      }
      const before = kept(of, by)
      for (const point of kept([...of, next], by)) {
        assert.ok(point === next.point || before.has(point), point)
      }
    }),
  )
})

test('dropping what is to be dropped changes no verdict: pruning twice drops nothing more', () => {
  check(
    fc.property(points, policy, (of, by) => {
      const stays = kept(of, by)
      assert.deepEqual(
        kept(
          of.filter(({ point }) => stays.has(point)),
          by,
        ),
        stays,
      )
    }),
  )
})

test('the order in which they are given does not matter', () => {
  check(
    fc.property(points, policy, fc.infiniteStream(fc.nat()), (of, by, keys) => {
      const shuffled = of
        .map(point => ({ point, key: keys.next().value ?? 0 }))
        .sort((a, b) => a.key - b.key)
        .map(({ point }) => point)
      assert.deepEqual(decideRetention(shuffled, by), decideRetention(of, by))
    }),
  )
})

test('each verdict has a reason, and without a policy all is kept', () => {
  check(
    fc.property(points, policy, (of, by) => {
      for (const { reasons } of decideRetention(of, by)) assert.ok(reasons.length > 0)
      assert.equal(kept(of, NO_POLICY).size, of.length)
    }),
  )
})

type Written = Parameters<typeof decideByWriter>[0][number]

const written: fc.Arbitrary<readonly Written[]> = points.chain(of =>
  fc.tuple(...of.map(point => fc.constantFrom('blade03', 'blade07', '').map(blade => ({ ...point, blade })))),
)

function keptOfAll(of: readonly Written[], by: RetentionPolicy): ReadonlySet<string> {
  return new Set(decideByWriter(of, by).flatMap(verdict => (verdict.keep ? [verdict.point] : [])))
}

test('whatever another blade writes of a VM, what is kept of a blade stays the same', () => {
  check(
    fc.property(written, policy, (of, by) => {
      const stays = keptOfAll(of, by)
      for (const blade of new Set(of.map(point => point.blade))) {
        const own = of.filter(point => point.blade === blade)
        assert.deepEqual(
          own.filter(({ point }) => stays.has(point)).map(({ point }) => point),
          own.filter(({ point }) => kept(own, by).has(point)).map(({ point }) => point),
        )
      }
    }),
  )
})

test('over several writers too: the newest verified and whole of each stay, each verdict once, the newest first', () => {
  check(
    fc.property(written, policy, (of, by) => {
      const verdicts = decideByWriter(of, by)
      assert.deepEqual(
        verdicts.map(({ point }) => point),
        of
          .map(({ point }) => point)
          .sort()
          .reverse(),
      )
      const stays = keptOfAll(of, by)
      for (const own of Map.groupBy(of, point => point.blade).values()) {
        const whole = own.filter(point => point.whole)
        for (const must of [newest(whole), newest(whole.filter(point => point.verified))]) {
          if (must !== undefined) assert.ok(stays.has(must), must)
        }
      }
    }),
  )
})

test('a year of nights under 7 daily, 4 weekly, 12 monthly keeps about two dozen, and says why', () => {
  const nights = Array.from({ length: 365 }, (_, day) => ({
    point: formatPoint(Date.UTC(2026, 0, 1 + day, 2)),
    whole: true,
    verified: day % 7 === 0,
    readable: true,
    inUse: '',
  }))
  const verdicts = decideRetention(nights, { keepLast: 3, keepDaily: 7, keepWeekly: 4, keepMonthly: 12 })
  const stays = verdicts.filter(({ keep }) => keep)
  assert.equal(stays.length, 20)
  assert.deepEqual(stays[0], {
    point: '20261231T020000Z',
    keep: true,
    reasons: [
      'last 1 of 3',
      'daily 1 of 7',
      'weekly 1 of 4',
      'monthly 1 of 12',
      'newest whole',
      'newest verified',
    ],
  })
  assert.deepEqual(stays.at(-1), { point: '20260131T020000Z', keep: true, reasons: ['monthly 12 of 12'] })
  // Sunday the 27th ends the week before that of New Year's Eve.
  assert.deepEqual(stays.find(({ point }) => point === '20261227T020000Z')?.reasons, [
    'daily 5 of 7',
    'weekly 2 of 4',
  ])
})

test('a night of damaged backups does not push out the last good one', () => {
  const good = { point: '20261101T020000Z', whole: true, verified: true, readable: true, inUse: '' }
  const bad = Array.from({ length: 9 }, (_, day) => ({
    point: formatPoint(Date.UTC(2026, 10, 2 + day, 2)),
    whole: false,
    verified: false,
    readable: true,
    inUse: '',
  }))
  const verdicts = decideRetention([good, ...bad], {
    keepLast: 2,
    keepDaily: 0,
    keepWeekly: 0,
    keepMonthly: 0,
  })
  assert.deepEqual(
    verdicts.flatMap(({ point, keep }) => (keep ? [point] : [])),
    ['20261110T020000Z', '20261109T020000Z', '20261101T020000Z'],
  )
  assert.deepEqual(verdicts.at(2)?.reasons, ['damaged, and no rule keeps it'])
})
