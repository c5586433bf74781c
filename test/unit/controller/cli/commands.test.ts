import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Alert,
  Blade,
  Explanation,
  Operation,
  Plan,
  Status,
  VmView,
} from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { runCli } from './fake-context.ts'

const GIB = 1024 ** 3
const blade = Blade.fromPartial({
  name: 'blade01',
  admin: 'in-service',
  health: 'moderate',
  liveness: 'up',
  quarantined: true,
  enrolment: 'joined',
  vms: ['mail01'],
  maxVms: 4,
  chassis: 'chassis1',
  slot: 1,
  lastReportAt: 997_000,
  memoryUsedBytes: 2 * GIB,
  capacity: { memoryBytes: 8 * GIB },
  reasons: ['lost leg1 of md0'],
})
const vm = VmView.fromPartial({
  name: 'mail01',
  blade: 'blade01',
  state: 'running',
  epoch: 3,
  memoryBytes: GIB,
})
const moving = Operation.fromPartial({
  id: 'o7',
  kind: 'move',
  state: 'running',
  vm: 'mail01',
  from: 'blade01',
  to: 'blade02',
})
const plan = Plan.fromPartial({
  blade: 'blade01',
  moves: [
    {
      vm: 'mail01',
      from: 'blade01',
      to: 'blade02',
      method: 'live',
      expectedDowntimeMs: 300,
      expectedEndMs: 9000,
    },
  ],
  unplaced: [
    { vm: 'big01', reasons: [{ code: 'memory-short', text: 'needs 9 GiB, has 2 GiB', blade: 'blade02' }] },
  ],
  after: [{ blade: 'blade02', vms: 2, maxVms: 4 }],
})

test('a list is an array in JSON, with the fields that are promised, empty ones too', async () => {
  const blades = JSON.parse(
    (await runCli(['blade', 'list', '-o', 'json'], { listBlades: { blades: [blade] } })).printed[0] ?? '',
  )
  assert.equal(blades[0].name, 'blade01')
  assert.deepEqual(
    [blades[0].admin, blades[0].health, blades[0].liveness, blades[0].vms],
    ['in-service', 'moderate', 'up', ['mail01']],
  )
  const vms = JSON.parse(
    (await runCli(['--output', 'json', 'vm', 'list'], { listVms: { vms: [vm] } })).printed[0] ?? '',
  )
  assert.deepEqual(
    [vms[0].name, vms[0].blade, vms[0].state, vms[0].epoch, vms[0].obstacles],
    ['mail01', 'blade01', 'running', 3, []],
  )
  const alerts = [
    Alert.fromPartial({
      id: 'a1',
      code: 'mirror-degraded',
      severity: 'moderate',
      blade: 'blade01',
      text: 't',
      since: 5,
    }),
  ]
  const shown = JSON.parse(
    (await runCli(['alert', 'list', '--output', 'json'], { listAlerts: { alerts } })).printed[0] ?? '',
  )
  assert.deepEqual(
    [shown[0].code, shown[0].severity, shown[0].blade, shown[0].text, shown[0].since],
    ['mirror-degraded', 'moderate', 'blade01', 't', 5],
  )
})

test('the table of blades shows the three axes and the quarantine', async () => {
  const { printed } = await runCli(['blade', 'list'], { listBlades: { blades: [blade] } })
  assert.equal(
    printed[0],
    [
      'BLADE    ADMIN       HEALTH                  LIVENESS  VMS  MEMORY          CHASSIS     REPORT',
      'blade01  in-service  moderate (quarantined)  up        1/4  2 GiB of 8 GiB  chassis1/1  3 s ago',
    ].join('\n'),
  )
})

test('evacuate --plan asks for a plan only, and names what stays and why', async () => {
  const run = await runCli(['evacuate', 'blade01', '--plan'], { planEvacuation: plan })
  assert.deepEqual(run.asked, [{ method: 'planEvacuation', request: { name: 'blade01' } }])
  assert.match(run.printed[0] ?? '', /nothing is moved/)
  assert.match(run.printed[0] ?? '', /big01:\n {4}blade02: needs 9 GiB, has 2 GiB \(memory-short\)/)
  const json = JSON.parse(
    (await runCli(['evacuate', 'blade01', '--plan', '-o', 'json'], { planEvacuation: plan })).printed[0] ??
      '',
  )
  assert.equal(json.moves[0].method, 'live')
  assert.equal(json.unplaced[0].reasons[0].code, 'memory-short')
  assert.equal(json.after[0].blade, 'blade02')
})

test('evacuate --plan ends with 0 only when the blade gets empty, in JSON as well', async () => {
  const whole = { ...plan, unplaced: [] }
  for (const [answer, exitCode] of [
    [plan, 2],
    [whole, 0],
  ] as const) {
    const argv = ['evacuate', 'blade01', '--plan']
    assert.equal((await runCli(argv, { planEvacuation: answer })).exitCode, exitCode)
    assert.equal((await runCli([...argv, '-o', 'json'], { planEvacuation: answer })).exitCode, exitCode)
  }
  // A plan that is only looked up again is what was asked for, whatever is in it.
  assert.equal((await runCli(['plan', 'show', 'p3'], { getPlan: plan })).exitCode, 0)
})

test('a plan says who steps aside, what a move waits for, and what would help', async () => {
  const move = { method: 'live', state: 'planned', expectedDowntimeMs: 300, expectedEndMs: 60_000 }
  const shuffle = Plan.fromPartial({
    blade: 'blade01',
    moves: [
      { ...move, vm: 'web01', vmId: 'w', from: 'blade02', to: 'blade03', role: 'makes-room' },
      { ...move, vm: 'mail01', vmId: 'm', from: 'blade01', to: 'blade02', role: 'leaves', needs: ['w'] },
    ],
    unplaced: [{ vm: 'big01', reasons: [{ code: 'no-blade-left', text: 'big01 fits on none of 2 blades' }] }],
    relief: [{ kind: 'memory', text: '1.5 GiB more memory on any of blade04, blade05, blade06' }],
  })
  const { printed } = await runCli(['evacuate', 'blade01', '--plan'], { planEvacuation: shuffle })
  const lines = (printed[0] ?? '').split('\n').map(line => line.replace(/ {2,}/g, '  '))
  assert.deepEqual(lines.slice(3, 6), [
    'VM  ROLE  FROM  TO  METHOD  VOLUMES  DOWNTIME  WAITS FOR  DONE AFTER  STATE',
    'web01  steps aside  blade02  blade03  live  0 B  ~300 ms  -  ~1 min  planned',
    'mail01  leaves  blade01  blade02  live  0 B  ~300 ms  web01  ~1 min  planned',
  ])
  assert.ok(
    (printed[0] ?? '').includes(
      'What would help:\n  1.5 GiB more memory on any of blade04, blade05, blade06\n',
    ),
    printed[0],
  )
})

test('why tells what was decided, and under a heading of its own why the VM could not move now', async () => {
  const why = Explanation.fromPartial({
    vm: 'web01',
    blade: 'blade01',
    story: ['now: web01 is running on blade01'],
    reasons: [{ code: 'vm-limit', text: 'blade02 has 4 of at most 4 VMs' }],
  })
  const { printed } = await runCli(['why', 'web01'], { why })
  assert.equal(
    printed[0],
    `web01 is on blade01.

What was decided, newest last (times in UTC):
  now: web01 is running on blade01

Why it could not move now:
  vm-limit: blade02 has 4 of at most 4 VMs`,
  )
  const whyNot = await runCli(['why-not', 'web01', 'blade02'], { whyNot: { ...why, blade: 'blade02' } })
  assert.deepEqual(whyNot.printed, [
    'web01 cannot go to blade02:\n  vm-limit: blade02 has 4 of at most 4 VMs',
  ])
})

test('a migration is followed to its end, and its outcome is the exit code', async () => {
  const answers = { migrateVm: moving }
  const steps = [{ ...moving, steps: [{ name: 'send', state: 'running' }] }] as Operation[]
  for (const [state, exitCode] of [
    ['done', 0],
    ['undone', 1],
    ['needs-admin', 5],
  ] as const) {
    const run = await runCli(['vm', 'migrate', 'mail01'], answers, [...steps, { ...moving, state }])
    assert.equal(run.exitCode, exitCode, state)
    assert.ok(run.noted.includes('o7 move mail01 blade01 → blade02: send'))
    assert.match(run.printed[0] ?? '', /^o7: move mail01 blade01 → blade02/)
  }
})

test('Ctrl-C leaves the operation running and says how to come back to it', async () => {
  const interrupt = new AbortController()
  interrupt.abort()
  const run = await runCli(['vm', 'migrate', 'mail01'], { migrateVm: moving }, [moving], interrupt.signal)
  assert.match(
    run.noted.join(),
    /o7 goes on without you. Watch it: lifeboat operation watch o7; stop it: lifeboat operation abort o7/,
  )
  assert.deepEqual(run.printed, [], 'nothing that pushes the note out of sight')
  assert.equal(run.exitCode, 0)
})

test('an evacuation that leaves VMs behind does not end with 0', async () => {
  const operation = Operation.fromPartial({ id: 'o9', kind: 'evacuate', state: 'running', from: 'blade01' })
  const run = await runCli(['evacuate', 'blade01'], { evacuate: { plan, operation } }, [
    { ...operation, state: 'done' },
  ])
  assert.equal(run.exitCode, 1)
})

test('an evacuation is followed VM by VM, and says at its end that the blade is cordoned', async () => {
  const operation = Operation.fromPartial({ id: 'o9', kind: 'evacuate', state: 'running', from: 'blade01' })
  const steps = [{ ...operation, outcome: '1 of 2 VMs moved, moving now: mail01' }]
  const run = await runCli(['evacuate', 'blade01'], { evacuate: { operation } }, [
    ...steps,
    { ...operation, state: 'done' },
  ])
  assert.ok(run.noted.includes('o9 evacuate blade01: 1 of 2 VMs moved, moving now: mail01'))
  assert.match(run.noted.at(-1) ?? '', /blade01 is cordoned.*lifeboat blade uncordon blade01/)
})

test('an empty answer says of what it is empty', async () => {
  const empty = async (argv: string[], answers: Record<string, unknown>) =>
    (await runCli(argv, answers)).printed[0] ?? ''
  assert.match(await empty(['vm', 'list'], { listVms: { vms: [] } }), /appear by themselves/)
  assert.equal(
    await empty(['vm', 'list', '--blade', 'blade03'], { listVms: { vms: [] } }),
    'No VM is on blade03.',
  )
  assert.equal(
    await empty(['operation', 'list', '--all'], { listOperations: { operations: [] } }),
    'No operations.',
  )
  assert.equal(await empty(['alert', 'list', '--all'], { listAlerts: { alerts: [] } }), 'No alerts.')
})

test('blade set without anything to set asks the controller nothing', async () => {
  await assert.rejects(runCli(['blade', 'set', 'blade01'], {}), {
    code: 'bad-input',
    message: /nothing to set/,
  })
  const run = await runCli(['blade', 'set', 'blade01', '--slot', '0'], { setBlade: blade })
  assert.equal(run.asked.length, 1)
})

test('status says that automation is paused, by whom, and what is held back', async () => {
  const status = Status.fromPartial({
    blades: 3,
    bladesUp: 3,
    automation: { paused: true, pausedBy: 'anna', reason: 'new switch', since: 1 },
    heldBack: ['blade01 would be evacuated: automation is paused'],
  })
  const text = (await runCli(['status'], { getStatus: status })).printed[0] ?? ''
  assert.match(text, /Automation is PAUSED since .* by anna: new switch/)
  assert.match(text, /Held back:\n {2}blade01 would be evacuated/)
})

test('what is not a command, a number or a known format is a usage error', async () => {
  for (const argv of [
    ['evict', 'blade01'],
    ['blade', 'set', 'blade01', '--slot', 'x'],
    ['status', '-o', 'xml'],
    ['vm', 'show'],
  ]) {
    await assert.rejects(runCli(argv, {}), { name: 'CommanderError' }, argv.join(' '))
  }
})

test('uncordon says when the health of the blade still keeps VMs away', async () => {
  const sound = Blade.fromPartial({ name: 'blade03', admin: 'in-service', health: 'healthy' })
  const well = await runCli(['blade', 'uncordon', 'blade03'], { setBladeAdmin: sound })
  assert.deepEqual(well.printed, ['blade03 is in-service'])
  const sick = { ...sound, health: 'moderate', quarantined: true, reasons: ['md0 runs on one disk'] }
  const ill = await runCli(['blade', 'uncordon', 'blade03'], { setBladeAdmin: sick })
  assert.match(
    ill.printed[0] ?? '',
    /\nIt takes no VMs yet: its health is moderate \(quarantined\): md0 runs on one disk\. See: lifeboat blade show blade03$/,
  )
})
