import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AlertContent, alertContent, CATALOG } from '../../../../controller/alerts/catalog.ts'
import { alertEdits, SETTLE_MS, type ShownAlert } from '../../../../controller/alerts/visible.ts'
import { CASE_CODES, type Case, type CaseCode } from '../../../../controller/diagnosis/case.ts'
import { fleet, NIGHT, openCase } from '../../../fakes/fleet-builder.ts'
import { ROOT } from '../../../rules/source-files.ts'

const WORLD = fleet({
  blades: [{ name: 'blade01' }, { name: 'blade02' }],
  vms: ['app01', 'db01', 'mail01', 'web01'].map(name => ({ name, blade: 'blade01' })),
})
const NOW = NIGHT + SETTLE_MS
const shownOf = (alert: AlertContent): ShownAlert => alert
const edits = (cases: readonly Case[], shown: readonly ShownAlert[] = [], world = WORLD) =>
  alertEdits(cases, shown, NOW, world)
const kinds = (cases: readonly Case[], shown: readonly ShownAlert[] = []) =>
  edits(cases, shown).map(edit => `${edit.kind} ${edit.kind === 'clear' ? edit.caseKey : edit.alert.caseKey}`)

test('the alert of a degraded mirror tells the person woken all there is to know', () => {
  assert.deepEqual(alertContent(openCase('blade01'), WORLD), {
    caseKey: 'mirror-degraded/blade01/md0',
    code: 'mirror-degraded',
    severity: 'moderate',
    blade: 'blade01',
    subject: 'md0',
    title: 'blade01: mirror md0 has lost a disk',
    text: 'blade01: lost leg1 of md0, 1 of 2 disks left: leg0 (since 2026-03-01 02:14:00 UTC). 4 VMs (app01, db01, mail01, web01) run on; their data has one copy left. Lifeboat empties the blade after the hold time unless automation is paused or held back (`lifeboat status` says which). Then replace the disk and add it to md0 with `mdadm --add`.',
    nextCommand: 'lifeboat evacuate blade01 --plan',
    blades: ['blade01'],
  })
})

for (const code of Object.keys(CASE_CODES) as CaseCode[]) {
  test(`${code}: the alert says what, where, since when, what of the VMs, and what to type`, () => {
    const alert = alertContent(
      openCase('blade01', { code, subject: 'thing7', evidence: 'what was seen.' }),
      WORLD,
    )
    assert.match(alert.title, /blade01|thing7|fleet/)
    assert.match(alert.text, /^blade01: what was seen \(since 2026-03-01 02:14:00 UTC\)\. /)
    assert.match(alert.text, /VM|copies/)
    assert.match(alert.nextCommand, /^lifeboat /)
    for (const text of [alert.title, alert.text, alert.nextCommand])
      assert.doesNotMatch(text, /undefined|\.\.| {2}/)
    for (const cause of CATALOG[code].dependsOn) assert.ok(cause.code in CASE_CODES)
  })
}

test('with no VM on the blade the alert says so', () => {
  const { text, nextCommand } = alertContent(openCase('blade02'), WORLD)
  assert.match(text, /No VM is on blade02\. Replace the disk/)
  assert.equal(nextCommand, 'lifeboat blade show blade02', 'there is nothing left to evacuate')
})

test('each case is one alert; with the edits carried out there is nothing left to do', () => {
  const cases = [openCase('blade01'), openCase('blade02', { code: 'bond-member-down', subject: 'bond0' })]
  assert.deepEqual(kinds(cases), [
    'raise mirror-degraded/blade01/md0',
    'raise bond-member-down/blade02/bond0',
  ])
  assert.deepEqual(
    kinds(
      cases,
      cases.map(each => shownOf(alertContent(each, WORLD))),
    ),
    [],
  )
})

test('a case that closed clears its alert', () => {
  const shown = [shownOf(alertContent(openCase('blade01'), WORLD))]
  const cleared = { kind: 'clear', at: NOW, caseKey: 'mirror-degraded/blade01/md0', because: 'it is over' }
  assert.deepEqual(edits([], shown), [cleared])
  assert.deepEqual(edits([openCase('blade01', { closedAt: NIGHT })], shown), [cleared])
})

test('VMs that leave reword the alert and call nobody; worse news do', () => {
  const shown = [shownOf(alertContent(openCase('blade01'), WORLD))]
  const emptied = edits([openCase('blade01')], shown, { ...WORLD, vms: [] })
  assert.deepEqual(
    emptied.map(edit => [edit.kind, edit.kind === 'update' && edit.deliver]),
    [['update', false]],
  )
  const worse = edits([openCase('blade01', { evidence: 'lost leg0, leg1 of md0' })], shown)
  assert.deepEqual(
    worse.map(edit => [edit.kind, edit.kind === 'update' && edit.deliver]),
    [['update', true]],
  )
})

test('the progress of a rebuild calls nobody', () => {
  const at = (percent: number) => openCase('blade01', { evidence: `leg2 is rebuilding, ${percent} %` })
  const [edit] = edits([at(20)], [shownOf(alertContent(at(10), WORLD))])
  assert.equal(edit?.kind === 'update' && edit.deliver, false)
})

test('a failing survivor takes the alert of the degraded mirror over, of that mirror only', () => {
  const degraded = openCase('blade01')
  const failing = openCase('blade01', { code: 'mirror-survivor-failing', severity: 'severe' })
  const other = openCase('blade01', { subject: 'md1' })
  const result = edits([degraded, failing, other], [shownOf(alertContent(degraded, WORLD))])
  assert.deepEqual(
    result.map(edit => (edit.kind === 'clear' ? edit.because : edit.alert.caseKey)),
    [
      'it is part of another alert now: blade01: last disk of mirror md0 is failing',
      'mirror-survivor-failing/blade01/md0',
      'mirror-degraded/blade01/md1',
    ],
  )
})

test('one switch that takes a link of many blades is one alert, not one a blade', () => {
  const cases = ['blade01', 'blade02'].map(blade =>
    openCase(blade, { code: 'bond-member-down', subject: 'bond0' }),
  )
  const common = openCase('', {
    code: 'common-cause',
    key: 'common-cause/fleet',
    scope: 'fleet',
    blades: ['blade01', 'blade02'],
    subject: 'switch switch-a',
  })
  assert.deepEqual(kinds([...cases, common]), ['raise common-cause/fleet'])
})

test('a common cause never hides what is worse than itself, nor a blade it does not cover', () => {
  const common = openCase('', {
    code: 'common-cause',
    key: 'common-cause/fleet',
    scope: 'fleet',
    blades: ['blade01', 'blade02'],
  })
  const severe = openCase('blade01', { code: 'mirror-survivor-failing', severity: 'severe' })
  const outside = openCase('blade03')
  assert.deepEqual(kinds([common, severe, outside]), [
    'raise common-cause/fleet',
    'raise mirror-survivor-failing/blade01/md0',
    'raise mirror-degraded/blade03/md0',
  ])
})

test('a lost link waits a moment for others to be lost with it; what is severe is told at once', () => {
  const at = (now: number, each: Case) => alertEdits([each], [], now, WORLD).length
  assert.equal(at(NOW - 1, openCase('blade01')), 0)
  assert.equal(at(NOW, openCase('blade01')), 1)
  assert.equal(at(NIGHT, openCase('blade01', { severity: 'severe' })), 1)
  assert.equal(at(NIGHT, openCase('chassis1', { code: 'power-degraded', scope: 'chassis' })), 1)
  assert.equal(at(NIGHT - 1, openCase('blade01')), 1)
})

test('of one VM each alert speaks as of one, of several as of several', () => {
  const world = (...names: string[]) =>
    fleet({ blades: [{ name: 'blade01' }], vms: names.map(name => ({ name, blade: 'blade01' })) })
  const told = (code: CaseCode, ...names: string[]) => {
    const each = openCase('blade01', { code, subject: 'thing7' })
    return CATALOG[code].vms(each, world(...names))
  }
  assert.equal(told('mirror-degraded', 'web01'), '1 VM (web01) runs on; its data has one copy left.')
  assert.equal(
    told('blade-silent', 'web01'),
    '1 VM (web01) may still run there: it is not started elsewhere without proof that it does not.',
  )
  assert.equal(
    told('evacuation-incomplete', 'web01'),
    '1 VM (web01) is still there, not tried again by itself.',
  )
  assert.equal(
    told('evacuation-incomplete', 'db01', 'web01'),
    '2 VMs (db01, web01) are still there, not tried again by themselves.',
  )
  for (const code of Object.keys(CASE_CODES) as CaseCode[])
    assert.doesNotMatch(told(code, 'web01'), /^1 VM .*\b(they|their|themselves)\b|\) (run|are|stay)\b/, code)
})

test('README.md says of every alert what to do', () => {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const rows = text.split('\n').filter(line => line.startsWith('|'))
  const missing = Object.keys(CASE_CODES).filter(code => !rows.some(row => row.includes(`\`${code}\``)))
  assert.deepEqual(missing, [])
})
