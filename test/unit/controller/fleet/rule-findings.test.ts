import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ruleFindings } from '../../../../controller/fleet/rule-findings.ts'
import type { FleetSnapshot } from '../../../../controller/fleet/snapshot.ts'
import type { GroupRule, PlacementRules } from '../../../../controller/placement/rules.ts'
import { type BladeSketch, fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

const MAIL: GroupRule = { name: 'mail', kind: 'apart', vms: ['mx1', 'mx2'], across: 'blade', hard: true }

function told(
  rules: Partial<PlacementRules>,
  where: Record<string, string>,
  blade: Partial<BladeSketch> = {},
) {
  const blades = [{ name: 'blade01' }, { name: 'blade02', ...blade }]
  const vms = Object.entries(where).map(([name, at]) => ({ name, blade: at }))
  return findings(fleet({ blades, vms, rules }))
}

function findings(snapshot: FleetSnapshot, listeningSince = NIGHT - 3_600_000): string[] {
  return ruleFindings({ now: NIGHT, snapshot, listeningSince, silentAfterMs: 30_000 }).map(
    ({ key, evidence, blades }) => `${key}: ${evidence} [${blades.join(' ')}]`,
  )
}

test('rules that are kept, and wishes that are not, are no findings', () => {
  assert.deepEqual(told({ groups: [MAIL] }, { mx1: 'blade01', mx2: 'blade02' }), [])
  assert.deepEqual(told({ groups: [{ ...MAIL, hard: false }] }, { mx1: 'blade01', mx2: 'blade01' }), [])
  assert.deepEqual(told({}, { mx1: 'blade01' }), [])
})

test('a group or a pin that is not kept says who is where', () => {
  assert.deepEqual(told({ groups: [MAIL] }, { mx1: 'blade01', mx2: 'blade01' }), [
    "rule-not-kept/fleet/mail: rule 'mail' wants them apart: mx1 on blade01, mx2 on blade01 [blade01]",
  ])
  const together: GroupRule = { ...MAIL, kind: 'together' }
  assert.deepEqual(told({ groups: [together] }, { mx1: 'blade01', mx2: 'blade02' }), [
    "rule-not-kept/fleet/mail: rule 'mail' wants them together: mx1 on blade01, mx2 on blade02 [blade01 blade02]",
  ])
  const vms = [{ vm: 'db01', priority: 0, blades: ['blade02'], evacuate: {} }]
  assert.deepEqual(told({ vms }, { db01: 'blade01' }), [
    'rule-not-kept/fleet/db01: db01 is on blade01, and may only be on blade02 [blade01]',
  ])
})

test('names that nothing bears are told in one case, but not before every blade had its chance to report', () => {
  const vms = [{ vm: 'db01', priority: 0, blades: ['blade01', 'blade09'], evacuate: {} }]
  const all =
    "rule-name-unknown/fleet: no VM is called mx2 (rule 'mail'); no VM is called db01 (its own rules); no blade is called blade09 (blades of db01) []"
  assert.deepEqual(told({ groups: [MAIL], vms }, { mx1: 'blade01' }), [all])
  const early = fleet({
    blades: [{ name: 'blade01', liveness: 'silent' }],
    vms: [],
    rules: { groups: [MAIL] },
  })
  assert.deepEqual(findings(early, NIGHT - 10_000), [])
  assert.equal(findings(early).length, 1)
})
