import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Report } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { Reason } from '../../../../proto/gen/lifeboat/v1/types.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { commandToWire, reasonToWire, reportFromWire } from '../../../../shared/wire/convert.ts'

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read()
  } catch (error) {
    assert.ok(error instanceof LifeboatError)
    assert.equal(error.code, 'bad-input')
    return [error.message, ...error.details]
  }
  return assert.fail('it was accepted')
}

test('a bad report names every bad field with its place', () => {
  const report = Report.fromPartial({
    sequence: -1,
    facts: [
      {
        kind: {
          $case: 'bond',
          value: { name: 'bond0', members: [{ nic: 'eth0', link: 'sideways', partner: 'ok' }] },
        },
      },
      { observedAt: 1 },
    ],
    vms: [
      {
        id: 'WEB01',
        name: '',
        state: 'flying',
        volumes: [{ target: 'vda', path: '/x', storage: 'thick', format: 'vmdk' }],
      },
    ],
  })
  assert.deepEqual(
    problemsOf(() => reportFromWire(report)),
    [
      'report: 8 problems',
      'report.capacity is missing',
      'report.sequence must be a whole number from 0, got -1',
      "report.facts[0].link 'sideways' is not one of up, down",
      'report.facts[1] is of no known kind',
      "report.vms[0].id must be a UUID in lower case, got 'WEB01'",
      'report.vms[0].name is empty',
      "report.vms[0].state 'flying' is not one of running, paused, stopped, crashed, moving, lost, unknown",
      "report.vms[0].volumes[0].format 'vmdk' is not one of raw, qcow2",
    ].map(line => line.replace('facts[0].link', 'facts[0].members[0].link')),
  )
})

test('a fact with a number that is none is refused', () => {
  const mirror = { name: 'md0', activity: 'resync', progressPercent: Number.NaN }
  const report = Report.fromPartial({ capacity: {}, facts: [{ kind: { $case: 'mirror', value: mirror } }] })
  assert.deepEqual(problemsOf(() => reportFromWire(report)).slice(1), [
    'report.facts[0].progressPercent must be a number from 0 to 100, got NaN',
  ])
})

test('a reason without blade and numbers comes back without them', () => {
  const bare = { code: 'vm-busy', text: 'operation o17 works on it' } as const
  const full = { code: 'memory-short', text: 'x', blade: 'blade07', needed: 2, available: 0 } as const
  const vm = { id: '00000000-0000-4000-8000-000000000001', name: 'web01', state: 'running' }
  const withReasons = (obstacles: Reason[]) =>
    Report.fromPartial({ capacity: {}, vms: [{ ...vm, obstacles }] })
  const read = reportFromWire(withReasons([bare, full].map(reasonToWire)))
  assert.deepEqual(read.vms[0]?.obstacles, [bare, full])
  assert.deepEqual(
    problemsOf(() => reportFromWire(withReasons([Reason.fromPartial({ code: 'because', text: 'x' })])))
      .length,
    2,
  )
})

test('a command says which blade ran it', () => {
  const record = { argv: ['virsh', 'list'], exitCode: 0, startedAt: 1, durationMs: 2, stderrTail: '' }
  assert.deepEqual(commandToWire(record, 'blade03'), { ...record, blade: 'blade03' })
})
