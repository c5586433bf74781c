import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baselineOf } from '../../../../controller/diagnosis/baseline.ts'
import type { Case, Finding } from '../../../../controller/diagnosis/case.ts'
import { diagnose } from '../../../../controller/diagnosis/engine.ts'
import { updateCases } from '../../../../controller/diagnosis/update-cases.ts'
import { NIGHT } from '../../../fakes/fleet-builder.ts'
import { BASELINE, bond, evidence, mirror, power, SOUND, unreadable } from './evidence.ts'

const HOLDS = { clearMs: 30_000, assertMs: { 'sensor-unreadable': 8_000 } } as const
const DEGRADED = diagnose([evidence([mirror({ leg0: 'in-sync' })])], NIGHT)
const UNREADABLE = diagnose([evidence([unreadable('bond', 'bond0')])], NIGHT)

/** Plays `findings` at each second given and keeps what a caller keeps. */
function play(steps: readonly (readonly [second: number, findings: readonly Finding[]])[]) {
  let cases: readonly Case[] = []
  let pending: ReadonlyMap<string, number> = new Map()
  let ids = 0
  const log: string[] = []
  for (const [second, findings] of steps) {
    const edits = updateCases(cases, findings, NIGHT + second * 1000, HOLDS, () => `c${++ids}`, pending)
    cases = edits.cases
    pending = edits.pending
    for (const line of edits.story) log.push(`${second} ${line}`)
  }
  return { cases, log }
}

test('a finding opens one case, stays one case, and closes after the hold', () => {
  const { cases, log } = play([
    [0, DEGRADED],
    [5, DEGRADED],
    [10, []],
    [39, []],
    [40, []],
  ])
  assert.deepEqual(cases, [])
  assert.deepEqual(log, [
    '0 case c1 opened: mirror-degraded (moderate) on blade01: lost leg1 of md0, 1 of 2 disks left: leg0',
    '10 case c1 mirror-degraded on blade01: not seen any more, closes unless it returns',
    '40 case c1 mirror-degraded on blade01: closed, open for 40 s',
  ])
})

test('a link that flaps within the hold is one case', () => {
  const { cases, log } = play([
    [0, DEGRADED],
    [10, []],
    [39, DEGRADED],
    [60, []],
    [80, []],
  ])
  assert.equal(cases.length, 1)
  assert.equal(cases[0]?.id, 'c1')
  assert.ok(log.includes('39 case c1 mirror-degraded on blade01: is back'))
})

test('something that cannot be read for one round is nothing; for longer than its hold it is a case', () => {
  const once = play([
    [0, UNREADABLE],
    [5, []],
    [10, UNREADABLE],
    [15, UNREADABLE],
  ])
  assert.deepEqual(once.cases, [])
  const lasting = play([
    [0, UNREADABLE],
    [5, UNREADABLE],
    [8, UNREADABLE],
  ])
  assert.equal(lasting.cases[0]?.openedAt, NIGHT + 8_000)
})

test('who keeps no memory of pending findings gets every case at once', () => {
  const edits = updateCases([], UNREADABLE, NIGHT, HOLDS, () => 'c1')
  assert.equal(edits.opened.length, 1)
})

test('a case that gets worse says so, and keeps the time when it began', () => {
  const first = DEGRADED[0]
  assert.ok(first !== undefined)
  const worse = { ...first, severity: 'severe' as const, evidence: 'worse', observedAt: NIGHT + 5_000 }
  const { cases, log } = play([
    [0, [first]],
    [5, [worse]],
  ])
  assert.equal(log[1], '5 case c1 mirror-degraded on blade01: moderate => severe: worse')
  assert.deepEqual(
    [cases[0]?.observedAt, cases[0]?.openedAt, cases[0]?.lastFoundAt],
    [NIGHT, NIGHT, NIGHT + 5_000],
  )
})

test('the progress of a rebuild is no event', () => {
  const at = (progressPercent: number) =>
    diagnose([evidence([mirror({ leg0: 'in-sync', leg2: 'rebuilding' }, { progressPercent })])], NIGHT)
  const { cases, log } = play([
    [0, at(10)],
    [5, at(20)],
  ])
  assert.equal(log.length, 1)
  assert.match(cases[0]?.evidence ?? '', /20 %/)
})

test('two findings of one key are one case, the worse one', () => {
  const first = DEGRADED[0]
  assert.ok(first !== undefined)
  const { cases } = play([[0, [first, { ...first, severity: 'severe', evidence: 'worse' }]]])
  assert.deepEqual(
    cases.map(each => each.evidence),
    ['worse'],
  )
})

test('a clock that is set back closes nothing early', () => {
  const { cases } = play([
    [100, DEGRADED],
    [110, []],
    [20, []],
  ])
  assert.equal(cases.length, 1)
})

test('a degraded mirror that can no longer be read is not taken for healed', () => {
  const { cases: open } = play([[0, DEGRADED]])
  const later = diagnose([evidence([unreadable('mirror', 'md0')])], NIGHT + 60_000, { open })
  assert.deepEqual(
    later.map(finding => finding.key),
    ['mirror-degraded/blade01/md0', 'sensor-unreadable/blade01/md0'],
  )
  const incomplete = evidence([], { facts: [], complete: false })
  assert.deepEqual(
    diagnose([incomplete], NIGHT, { open }).map(finding => finding.key),
    ['mirror-degraded/blade01/md0'],
  )
})

test('a lost supply is not taken for healed either while nobody reads the supplies', () => {
  const { cases: open } = play([[0, diagnose([evidence([power({ PS2: 'failed' })])], NIGHT)]])
  const later = diagnose([evidence([unreadable('power')])], NIGHT, { open })
  assert.ok(later.some(finding => finding.key === 'power-degraded/chassis1'))
})

test('a mirror that reads well again, and a blade that was removed, do not keep their cases', () => {
  const { cases: open } = play([[0, DEGRADED]])
  assert.deepEqual(diagnose([evidence()], NIGHT, { open }), [])
  assert.deepEqual(diagnose([], NIGHT, { open }), [])
})

test('the baseline takes what is meant to be there, also the broken part, but no empty bay', () => {
  assert.deepEqual(baselineOf(SOUND, BASELINE.takenAt), BASELINE)
  const facts = [
    mirror({ leg1: 'faulty', leg0: 'in-sync', spare0: 'spare', '': 'missing' }),
    bond({ eth1: { link: 'down', speedMbps: 40_000 }, eth0: {} }),
    power({ PS3: 'failed', PS4: 'absent' }),
  ]
  assert.deepEqual(baselineOf(facts, 7), {
    takenAt: 7,
    mirrors: [{ name: 'md0', devices: ['leg0', 'leg1'] }],
    bonds: [{ name: 'bond0', nics: ['eth0', 'eth1'], speedMbps: 10_000 }],
    supplies: ['PS1', 'PS2', 'PS3'],
  })
})
