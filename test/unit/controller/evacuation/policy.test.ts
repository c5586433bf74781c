import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Case } from '../../../../controller/diagnosis/case.ts'
import { decideEvacuations, type PolicyInput } from '../../../../controller/evacuation/policy.ts'
import type { BladeView } from '../../../../controller/fleet/snapshot.ts'
import type { VmRule } from '../../../../controller/placement/rules.ts'
import { fleet, NIGHT, openCase } from '../../../fakes/fleet-builder.ts'

const HOUR = 3_600_000
const BLADES = Array.from({ length: 8 }, (_, index) => `blade0${index + 1}`)

function decide(cases: readonly Case[], rest: Partial<PolicyInput> = {}, blade01: Partial<BladeView> = {}) {
  const snapshot = fleet({
    blades: BLADES.map(name => ({ name, ...(name === 'blade01' ? blade01 : {}) }) as { name: string }),
    vms: BLADES.map(blade => ({ name: `vm-${blade}`, blade })),
  })
  const { evacuate, heldBack } = decideEvacuations({
    snapshot,
    cases,
    automation: { paused: false },
    now: NIGHT + HOUR,
    settings: { mirrorDegraded: 'evacuate', holdMs: 60_000 },
    active: new Set(),
    handled: new Set(),
    ...rest,
  })
  return {
    evacuate: evacuate.map(each => `${each.blade}: ${each.cause}`),
    heldBack: heldBack.map(each => each.text),
  }
}

const GO = [
  'blade01: lost leg1 of md0, 1 of 2 disks left: leg0 (case c-mirror-degraded-blade01, mirror-degraded)',
]
const failing = () => openCase('blade01', { code: 'mirror-survivor-failing', severity: 'severe' })

test('a degraded mirror empties its blade, once the hold is over and not before', () => {
  assert.deepEqual(decide([openCase('blade01')], { now: NIGHT + 60_000 }), { evacuate: GO, heldBack: [] })
  const before = decide([openCase('blade01')], { now: NIGHT + 59_999 })
  assert.deepEqual(before.evacuate, [])
  assert.match(
    before.heldBack[0] ?? '',
    /^blade01 will be emptied at 2026-03-01 02:15:00 UTC .* unless it recovers/,
  )
})

test('a failing survivor empties it at once, even where a degraded mirror alone only alerts', () => {
  const settings = { mirrorDegraded: 'alert', holdMs: 60_000 } as const
  const now = NIGHT
  assert.equal(decide([openCase('blade01'), failing()], { settings, now }).evacuate.length, 1)
  const alone = decide([openCase('blade01')], { settings })
  assert.deepEqual(alone.evacuate, [])
  assert.match(alone.heldBack[0] ?? '', /mirror_degraded = "alert"/)
})

test('no other loss moves a VM: links, supplies, sensors, silence', () => {
  const cases = (
    [
      'bond-member-down',
      'bond-down',
      'power-degraded',
      'sensor-unreadable',
      'blade-silent',
      'mirror-missing',
    ] as const
  ).map(code => openCase('blade01', { code, severity: 'severe' }))
  for (const each of cases) assert.deepEqual(decide([each]), { evacuate: [], heldBack: [] }, each.code)
})

test('a pause holds everything back and says who paused and why', () => {
  const automation = { paused: true, reason: 'switch update', pausedBy: 'anna' }
  for (const each of [openCase('blade01'), failing()]) {
    const { evacuate, heldBack } = decide([each], { automation })
    assert.deepEqual(evacuate, [])
    assert.match(
      heldBack[0] ?? '',
      /blade01 would be emptied .* automation is paused by anna \(switch update\)/,
    )
  }
})

test('stale facts move nothing (rule 9)', () => {
  for (const liveness of ['suspect', 'silent', 'fenced'] as const) {
    const { evacuate, heldBack } = decide([openCase('blade01')], {}, { liveness })
    assert.deepEqual(evacuate, [])
    assert.match(heldBack[0] ?? '', /too old to act on/)
  }
})

test('a mirror that was degraded and cannot be read now moves nothing (rule 9)', () => {
  const facts = [{ kind: 'unreadable', observedAt: 1, of: 'mirror', name: 'md0', error: '' }] as const
  const { evacuate, heldBack } = decide([openCase('blade01')], {}, { facts })
  assert.deepEqual(evacuate, [])
  assert.match(heldBack[0] ?? '', /md0 cannot be read now/)
})

test('a case that is not found any more, only not closed yet, moves nothing', () => {
  assert.deepEqual(decide([openCase('blade01', { quietSince: NIGHT + 1 })]), { evacuate: [], heldBack: [] })
})

test('somebody works on a blade in maintenance: it is left alone; a cordoned one is emptied', () => {
  assert.match(
    decide([openCase('blade01')], {}, { admin: 'maintenance' }).heldBack[0] ?? '',
    /in maintenance/,
  )
  assert.deepEqual(decide([openCase('blade01')], {}, { admin: 'cordoned' }).evacuate, GO)
})

test('an evacuation under way is not begun again', () => {
  assert.deepEqual(decide([openCase('blade01')], { active: new Set(['blade01']) }), {
    evacuate: [],
    heldBack: [],
  })
})

test('VMs that stayed are not tried again blindly, but a worse case is a new reason', () => {
  const handled = new Set(['c-mirror-degraded-blade01'])
  const { evacuate, heldBack } = decide([openCase('blade01')], { handled })
  assert.deepEqual(evacuate, [])
  assert.match(heldBack[0] ?? '', /emptied for this case already, vm-blade01 stayed/)
  assert.equal(decide([openCase('blade01'), failing()], { handled }).evacuate.length, 1)
})

test('a blade without VMs needs nothing', () => {
  const snapshot = fleet({ blades: [{ name: 'blade01' }], vms: [] })
  assert.deepEqual(decide([openCase('blade01')], { snapshot }), { evacuate: [], heldBack: [] })
})

test('two of eight blades are emptied, three at once are one common cause (rule 10)', () => {
  const cases = (count: number) => BLADES.slice(0, count).map(blade => openCase(blade))
  assert.equal(decide(cases(2)).evacuate.length, 2)
  const three = decide(cases(3))
  assert.deepEqual(three.evacuate, [])
  assert.equal(three.heldBack.length, 3)
  assert.match(three.heldBack[0] ?? '', /3 of 8 blades look bad at once/)
})

test('too little power: no move inside the chassis, but a word on where else', () => {
  const power = (blades: readonly string[]) =>
    openCase('chassis1', {
      code: 'power-insufficient',
      severity: 'severe',
      scope: 'chassis',
      blades,
      evidence: 'PS1 failed',
    })
  const inside = decide([power(BLADES)])
  assert.deepEqual(inside.evacuate, [])
  assert.match(
    inside.heldBack[0] ?? '',
    /moving VMs inside it is no help, there is no sound blade outside it/,
  )
  assert.match(decide([power(BLADES.slice(0, 7))]).heldBack[0] ?? '', /sound blades outside it: blade08/)
})

/** db01, web01 and web02 on a blade with a degraded mirror; what the administrator wants of db01. */
function decideFor(evacuate: VmRule['evacuate'], cases = [openCase('blade01')], handled: string[] = []) {
  const snapshot = fleet({
    blades: BLADES.map(name => ({ name })),
    vms: ['db01', 'web01'].map(name => ({ name, blade: 'blade01' })),
    rules: { vms: [{ vm: 'db01', priority: 0, blades: [], evacuate }] },
  })
  return decideEvacuations({
    snapshot,
    cases,
    automation: { paused: false },
    now: NIGHT + HOUR,
    settings: { mirrorDegraded: 'evacuate', holdMs: 60_000 },
    active: new Set(),
    handled: new Set(handled),
  })
}

test('a VM that waits for a person is told of, the others go; when it is the last one, nothing is begun', () => {
  const { evacuate, heldBack } = decideFor({ any: 'ask' })
  assert.deepEqual(
    evacuate.map(({ blade, trigger }) => [blade, trigger]),
    [['blade01', 'mirror-degraded']],
  )
  const waits =
    "on blade01 (lost leg1 of md0, 1 of 2 disks left: leg0), waiting for a person (policy 'ask'): db01; `lifeboat evacuate blade01` moves them"
  assert.deepEqual(heldBack, [{ blade: 'blade01', text: waits }])
  const alone = fleet({
    blades: BLADES.map(name => ({ name })),
    vms: [{ name: 'db01', blade: 'blade01' }],
    rules: { vms: [{ vm: 'db01', priority: 0, blades: [], evacuate: { any: 'ask' } }] },
  })
  assert.deepEqual(decide([openCase('blade01')], { snapshot: alone }), { evacuate: [], heldBack: [waits] })
})

test('what waits for a person is not said to have stayed by mistake once the others are gone', () => {
  const { evacuate, heldBack } = decideFor({ any: 'stay' }, [openCase('blade01')], [openCase('blade01').id])
  assert.deepEqual(evacuate, [])
  assert.match(heldBack[0]?.text ?? '', /to stay \(policy 'stay'\): db01; `lifeboat vm migrate VM` moves one/)
  assert.match(heldBack[1]?.text ?? '', /emptied for this case already, web01 stayed/)
})

test('a policy goes by the cause: what waits for a degraded mirror may leave one that fails', () => {
  const evacuate = { 'mirror-degraded': 'stay', any: 'live' } as const
  assert.match(decideFor(evacuate).heldBack[0]?.text ?? '', /policy 'stay'/)
  const worse = decideFor(evacuate, [openCase('blade01'), failing()])
  assert.deepEqual(worse.heldBack, [])
  assert.equal(worse.evacuate[0]?.trigger, 'mirror-survivor-failing')
})
