import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chanceOf, reconnectDelayMs } from '../../../../agent/session/backoff.ts'
import { createDueTable } from '../../../../agent/session/due.ts'
import { needsRenewal } from '../../../../agent/session/renewal.ts'
import { substanceOfReport } from '../../../../agent/session/substance.ts'
import type { BladeReport } from '../../../../shared/domain/fleet.ts'

test('reconnecting begins within a second and is never slower than ten', () => {
  assert.equal(reconnectDelayMs(0, 'unavailable', 0), 500)
  assert.equal(reconnectDelayMs(0, 'unavailable', 1), 1000)
  assert.equal(reconnectDelayMs(50, 'unavailable', 1), 10_000)
  for (let attempt = 1; attempt < 12; attempt++) {
    assert.ok(
      reconnectDelayMs(attempt, 'unavailable', 0.5) >= reconnectDelayMs(attempt - 1, 'unavailable', 0.5),
    )
  }
})

test('where only a person helps, the controller is asked once a minute', () => {
  for (const code of ['version-mismatch', 'not-authenticated', 'not-allowed'] as const) {
    assert.ok(reconnectDelayMs(0, code, 0) >= 30_000, code)
  }
})

test('the chance of a UUID lies between nothing and certainty', () => {
  assert.equal(chanceOf('00000000-0000-4000-8000-000000000000'), 0)
  assert.equal(chanceOf('ffffffff-0000-4000-8000-000000000000'), 1)
})

test('what is due is taken once, and a later time never puts off an earlier one', () => {
  const due = createDueTable()
  due.set('report', 200)
  due.set('report', 500)
  due.set('o1', 100)
  assert.equal(due.next(), 100)
  assert.deepEqual(due.take(100), ['o1'])
  assert.deepEqual(due.take(199), [])
  assert.deepEqual(due.take(200), ['report'])
  assert.equal(due.next(), undefined)
})

test('a certificate is renewed when a third of its life is left', () => {
  assert.equal(needsRenewal(0, 300, 199), false)
  assert.equal(needsRenewal(0, 300, 200), true)
})

const REPORT: BladeReport = {
  sequence: 1,
  observedAt: 1,
  facts: [
    {
      kind: 'mirror',
      observedAt: 1,
      name: 'md0',
      expectedMembers: 2,
      members: [],
      activity: 'check',
      progressPercent: 1,
    },
  ],
  vms: [],
  capacity: {
    memoryBytes: 1,
    reservedMemoryBytes: 0,
    cpus: 1,
    pools: [{ name: 'vg0', storage: 'thick', sizeBytes: 9, freeBytes: 5, reclaimableBytes: 0 }],
    networks: [],
    hypervisor: '',
    cpuModels: [],
  },
  complete: true,
}

test('time, the progress of a check and how full a pool is are not news', () => {
  const [fact] = REPORT.facts
  const [pool] = REPORT.capacity.pools
  assert.ok(fact?.kind === 'mirror' && pool !== undefined)
  const later: BladeReport = {
    ...REPORT,
    sequence: 2,
    observedAt: 9,
    facts: [{ ...fact, observedAt: 9, progressPercent: 50 }],
    capacity: { ...REPORT.capacity, pools: [{ ...pool, freeBytes: 4 }] },
  }
  assert.equal(substanceOfReport(later), substanceOfReport(REPORT))
})

test('a lost disk, a new pool and an incomplete look are news', () => {
  const [fact] = REPORT.facts
  assert.ok(fact?.kind === 'mirror')
  const news: BladeReport[] = [
    { ...REPORT, facts: [{ ...fact, members: [{ device: 'sda1', state: 'faulty', errors: 1 }] }] },
    { ...REPORT, capacity: { ...REPORT.capacity, pools: [] } },
    { ...REPORT, complete: false },
  ]
  for (const report of news) assert.notEqual(substanceOfReport(report), substanceOfReport(REPORT))
})
