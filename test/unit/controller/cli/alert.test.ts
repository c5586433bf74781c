import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertContent } from '../../../../controller/alerts/catalog.ts'
import { renderAlerts } from '../../../../controller/cli/commands/alert.ts'
import { CASE_CODES, type CaseCode } from '../../../../controller/diagnosis/case.ts'
import { Alert } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { fleet, openCase } from '../../../fakes/fleet-builder.ts'
import { runCli } from './fake-context.ts'

test('alerts are listed with their codes; the state has a column where it is not the same for all', async () => {
  const alert = {
    id: 'a1',
    severity: 'moderate',
    code: 'mirror-degraded',
    title: 'blade03: mirror md0 has lost a disk',
    since: 1_000_000 - 282_000,
  }
  const listed = async (...alerts: object[]) =>
    (await runCli(['alert', 'list'], { listAlerts: { alerts } })).printed[0]?.split('\n')
  assert.deepEqual(await listed(alert), [
    'ALERT  SEVERITY  AGE         CODE             TITLE',
    'a1     moderate  4 min 42 s  mirror-degraded  blade03: mirror md0 has lost a disk',
  ])
  const states = await listed(alert, { ...alert, acknowledgedAt: 5 }, { ...alert, clearedAt: 5 })
  assert.deepEqual(
    states?.map(line => line.slice(29, 36).trimEnd()),
    ['STATE', 'open', 'acked', 'over'],
  )
})

test('whatever the alert, its row in the list fits 100 columns', () => {
  const world = fleet({ blades: [{ name: 'blade03' }], vms: [{ name: 'web01', blade: 'blade03' }] })
  const hour = 3_600_000
  for (const code of Object.keys(CASE_CODES) as CaseCode[]) {
    const each = openCase('blade03', { code, subject: /^(mirror|bond)/.test(code) ? 'md0' : 'web01' })
    const { severity, title } = alertContent(each, world)
    const alert = Alert.fromPartial({ code, severity, title, id: 'a107', since: 0 })
    const table = renderAlerts([alert], 26.9 * hour)
    for (const line of table.split('\n')) assert.ok(line.length <= 100, `${line.length}: ${line}`)
  }
})

test('an alert tells what to type next, until it is over', async () => {
  const alert = Alert.fromPartial({
    id: 'a1',
    text: 't',
    since: 5,
    nextCommand: 'lifeboat blade show blade03',
  })
  const open = await runCli(['alert', 'show', 'a1'], { getAlert: alert })
  assert.match(open.printed[0] ?? '', /\nNext: lifeboat blade show blade03$/)
  const over = await runCli(['alert', 'show', 'a1'], { getAlert: { ...alert, clearedAt: 9 } })
  assert.match(over.printed[0] ?? '', /\nOver since [^\n]*$/)
})
