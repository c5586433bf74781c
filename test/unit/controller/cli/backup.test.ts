import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderTime } from '../../../../controller/cli/render.ts'
import {
  BackupPlan,
  BackupPolicy,
  Operation,
  Status,
  VmView,
} from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { PointDetail, PointSummary, PruneReport } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import { runCli } from './fake-context.ts'

const MIB = 1024 ** 2
const HOUR = 3_600_000
/** The fake context's clock stands at 1 000 s after the epoch. */
const NOW = 1_000_000
const POINT = '20261128T020512Z'
const point = PointSummary.fromPartial({
  vmId: 'id-1',
  vm: 'web01',
  point: POINT,
  blade: 'blade01',
  at: NOW - 60_000,
  consistency: 'application',
  pauseMs: 84,
  sizeBytes: 64 * MIB,
  readBytes: 64 * MIB,
  sentBytes: 3 * MIB,
  storedBytes: 2 * MIB,
  durationMs: 4000,
  state: 'whole',
  disks: [
    {
      target: 'vda',
      sizeBytes: 64 * MIB,
      format: 'raw',
      path: '/dev/vg0/web01',
      storage: 'thin',
      pool: 'vg0/pool',
    },
  ],
})
const backup = (id: string, vm: string, rest: Partial<Operation> = {}) =>
  Operation.fromPartial({
    id,
    kind: 'backup',
    state: 'running',
    vm,
    from: 'blade01',
    startedAt: 1000,
    ...rest,
  })

test('restore points are a table of ages, sizes, pause and what was proved of them; JSON is an array', async () => {
  const points = [
    { ...point, bootedAt: NOW - 30_000, recoveryMs: 41_000, checkedAt: NOW - 40_000 },
    { ...point, vm: 'db01', state: 'damaged', checkedAt: NOW - 40_000 },
    { ...point, vm: 'new01' },
    { ...point, vm: 'sad01', bootedAt: NOW - 30_000, bootError: 'no sign of life in 120 s' },
  ]
  const { printed, asked } = await runCli(['backup', 'list'], { listBackups: { points } })
  assert.deepEqual(asked, [{ method: 'listBackups', request: { vm: '' } }])
  assert.deepEqual(printed[0]?.split('\n'), [
    'VM     POINT             AGE          SIZE  ADDED  PAUSE  CONSISTENCY  STATE    VERIFIED',
    'web01  20261128T020512Z  1 min ago  64 MiB  2 MiB  84 ms  application  whole    booted 30 s ago (recovery 41 s)',
    'db01   20261128T020512Z  1 min ago  64 MiB  2 MiB  84 ms  application  damaged  hashed 40 s ago',
    'new01  20261128T020512Z  1 min ago  64 MiB  2 MiB  84 ms  application  whole    -',
    'sad01  20261128T020512Z  1 min ago  64 MiB  2 MiB  84 ms  application  whole    BOOT FAILED',
  ])
  const json = await runCli(['backup', 'list', 'web01', '-o', 'json'], { listBackups: { points } })
  assert.equal(JSON.parse(json.printed[0] ?? '')[0].pauseMs, 84)
  assert.deepEqual(json.asked[0]?.request, { vm: 'web01' })
})

test('an empty list says what to type', async () => {
  const none = { listBackups: { points: [] } }
  assert.match((await runCli(['backup', 'list'], none)).printed[0] ?? '', /lifeboat backup run --all/)
  assert.match(
    (await runCli(['backup', 'list', 'web01'], none)).printed[0] ?? '',
    /lifeboat backup run web01/,
  )
})

test('a restore point is named VM or VM@POINT; anything else is told before the controller is asked', async () => {
  const detail = { getBackup: PointDetail.fromPartial({ summary: point }) }
  const newest = await runCli(['backup', 'show', 'web01'], detail)
  assert.deepEqual(newest.asked[0]?.request, { vm: 'web01', point: '' })
  assert.match(newest.printed[0] ?? '', /vda: 64 MiB raw, was \/dev\/vg0\/web01 \(thin in vg0\/pool\)/)
  assert.match(newest.printed[0] ?? '', /lifeboat backup restore web01@20261128T020512Z/)
  const named = await runCli(['backup', 'show', `a@b@${POINT}`], detail)
  assert.deepEqual(named.asked[0]?.request, { vm: 'a@b', point: POINT })
  for (const wrong of ['web01@', 'web01@yesterday', `@${POINT}`]) {
    await assert.rejects(runCli(['backup', 'show', wrong], {}), { code: 'bad-input', message: /backup list/ })
  }
})

test('a run wants exactly one choice of VMs', async () => {
  for (const argv of [[], ['web01', '--all'], ['--all', '--blade', 'blade01']]) {
    await assert.rejects(runCli(['backup', 'run', ...argv], {}), {
      code: 'bad-input',
      message: /--blade BLADE, or --all/,
    })
  }
  const run = await runCli(['backup', 'run', 'web01', 'db01', '--no-wait', '-o', 'json'], {
    runBackups: { operations: [backup('o1', 'web01'), backup('o2', 'db01')] },
  })
  assert.deepEqual(run.asked[0]?.request, { vms: ['web01', 'db01'], blade: '', all: false, force: false })
  assert.deepEqual(
    JSON.parse(run.printed[0] ?? '').map((each: Operation) => each.id),
    ['o1', 'o2'],
  )
})

test('several backups are followed on one line to their ends; the worst outcome is the exit code', async () => {
  const answers = { runBackups: { operations: [backup('o1', 'web01'), backup('o2', 'db01')] } }
  const send = [{ name: 'backup/send (blade01)', state: 'running' }]
  const done = { state: 'done', endedAt: 5000, point: POINT, pauseMs: 84 }
  for (const [end, exitCode] of [
    [done, 0],
    [{ state: 'undone', endedAt: 5000, outcome: 'the vault is full' }, 1],
    [{ state: 'needs-admin', endedAt: 5000 }, 5],
  ] as const) {
    const run = await runCli(['backup', 'run', '--all'], answers, {
      o1: [backup('o1', 'web01', { steps: send } as never), backup('o1', 'web01', done)],
      o2: [backup('o2', 'db01', end)],
    })
    assert.equal(run.exitCode, exitCode, end.state)
    assert.equal(run.noted.at(-1), 'backups: 2 of 2 ended')
    assert.ok(
      run.progressed.some(line => /^backups: [01] of 2 ended .*web01 send/.test(line)),
      run.progressed.join('\n'),
    )
    assert.match(run.printed[0] ?? '', /^o1 +web01 +done +20261128T020512Z +84 ms +4 s/m)
    if (exitCode !== 0) assert.match(run.printed[0] ?? '', /Why: lifeboat operation show o2/)
  }
})

test('Ctrl-C leaves the backups running and says how to see and to stop them', async () => {
  const interrupt = new AbortController()
  interrupt.abort()
  const operations = [backup('o1', 'web01'), backup('o2', 'db01')]
  const run = await runCli(['backup', 'run', '--all'], { runBackups: { operations } }, [], interrupt.signal)
  assert.match(
    run.noted.join(),
    /o1 o2 go on without you. See them: lifeboat operation list; stop one: lifeboat operation abort o1/,
  )
  assert.equal(run.exitCode, 0)
})

test('verify hashes in the vault; damage is exit code 1 and says what heals it', async () => {
  const answers = {
    getBackup: PointDetail.fromPartial({ summary: point }),
    checkBackup: { ...point, checkedAt: NOW },
  }
  const run = await runCli(['backup', 'verify', 'web01'], answers)
  assert.deepEqual(
    run.asked.map(({ method }) => method),
    ['getBackup', 'checkBackup'],
  )
  assert.deepEqual(
    run.asked[1]?.request,
    { vm: 'id-1', point: POINT },
    'the one whose name was shown, not a newer one',
  )
  assert.match(run.noted[0] ?? '', /^hashing web01@20261128T020512Z in the vault/)
  assert.match(run.printed[0] ?? '', /is whole/)
  const damaged = {
    ...answers,
    checkBackup: { ...point, state: 'damaged', stateText: '1 of 8 chunks is bad' },
  }
  const bad = await runCli(['backup', 'verify', 'web01'], damaged)
  assert.equal(bad.exitCode, 1)
  assert.match(bad.printed[0] ?? '', /damaged: 1 of 8 chunks is bad\n.*lifeboat backup run web01/)
  for (const option of [['--to', 'blade02'], ['--no-wait']]) {
    await assert.rejects(
      runCli(['backup', 'verify', 'web01', ...option], {}),
      { code: 'bad-input', message: `${option[0]} goes with --boot` },
      option[0],
    )
  }
})

test('verify --boot follows the test and tells the recovery time', async () => {
  const testing = backup('o3', 'web01', { kind: 'boot-test', to: 'blade02' })
  const ended = { ...testing, state: 'done', endedAt: 9000, point: POINT, recoveryMs: 4100 }
  const run = await runCli(
    ['backup', 'verify', `web01@${POINT}`, '--boot', '--to', 'blade02'],
    { testBackup: testing },
    [ended],
  )
  assert.deepEqual(run.asked[0]?.request, { backup: { vm: 'web01', point: POINT }, to: 'blade02' })
  assert.match(
    run.printed[0] ?? '',
    /restore point 20261128T020512Z, ran again 4.1 s after the restore began/,
  )
})

test('restore says all it was told, and a single disk is no VM', async () => {
  const restoring = backup('o4', 'web01', { kind: 'restore', to: 'blade02', state: 'done', endedAt: 2 })
  const argv = [
    'backup',
    'restore',
    `web01@${POINT}`,
    '--to',
    'blade02',
    '--name',
    'web01-copy',
    '--start',
    '--force',
  ]
  const run = await runCli(argv, { restoreBackup: restoring })
  assert.deepEqual(run.asked[0]?.request, {
    backup: { vm: 'web01', point: POINT },
    to: 'blade02',
    newName: 'web01-copy',
    onlyDisk: '',
    start: true,
    overrideRules: true,
  })
  assert.doesNotMatch(run.printed[0] ?? '', /is off/)
  const off = await runCli(['backup', 'restore', 'web01'], { restoreBackup: restoring })
  assert.match(off.printed[0] ?? '', /\n\nweb01 is off\. Start it: lifeboat vm start web01$/)
  const disk = await runCli(['backup', 'restore', 'web01', '--disk', 'vdb', '--no-wait'], {
    restoreBackup: restoring,
  })
  assert.match(JSON.stringify(disk.asked[0]?.request), /"onlyDisk":"vdb"/)
  assert.doesNotMatch(disk.printed[0] ?? '', /is off/, 'a volume is no VM')
  await assert.rejects(runCli(['backup', 'restore', 'web01', '--disk', 'vda', '--start'], {}), {
    code: 'bad-input',
  })
})

test('prune --dry-run drops nothing and gives the reason for each; the plan and the policy explain themselves', async () => {
  const report = PruneReport.fromPartial({
    verdicts: [
      { vm: 'web01', point: POINT, at: NOW, keep: true, reasons: ['daily 1 of 7', 'newest verified'] },
      { vm: 'web01', point: '20261101T020512Z', at: NOW, keep: false, reasons: ['no rule keeps it'] },
    ],
  })
  const dry = await runCli(['backup', 'prune', '--dry-run'], { pruneBackups: report })
  assert.deepEqual(dry.asked[0]?.request, { vm: '', dryRun: true, vault: '' })
  assert.match(
    dry.printed[0] ?? '',
    /keep +daily 1 of 7; newest verified\n.*would be dropped +no rule keeps it/,
  )
  assert.match(dry.printed[0] ?? '', /1 would be dropped; nothing was\. Do it: lifeboat backup prune$/)
  const one = await runCli(['backup', 'prune', 'web01', '--vault', 'depot', '--dry-run'], {
    pruneBackups: report,
  })
  assert.deepEqual(one.asked[0]?.request, { vm: 'web01', dryRun: true, vault: 'depot' })
  assert.match(one.printed[0] ?? '', /Do it: lifeboat backup prune web01 --vault depot$/)
  const [kept] = report.verdicts
  const none = { pruneBackups: PruneReport.fromPartial({ verdicts: kept === undefined ? [] : [kept] }) }
  assert.match((await runCli(['backup', 'prune'], none)).printed[0] ?? '', /\n\nNothing dropped\.$/)
  const json = await runCli(['backup', 'prune', '--dry-run', '--output', 'json'], { pruneBackups: report })
  assert.deepEqual(JSON.parse(json.printed[0] ?? ''), report.verdicts)
  const plan = BackupPlan.fromPartial({
    backups: [
      {
        vm: 'web01',
        blade: 'blade01',
        vault: 'depot',
        mode: 'pause',
        nextAt: NOW + HOUR,
        expectedMs: 4000,
        expectedEndAt: NOW + HOUR + 4000,
        standing: { newestAt: NOW - HOUR },
      },
      { vm: 'db01', blade: 'blade01', mode: 'off', text: 'its backups are off' },
    ],
  })
  const planned = (await runCli(['backup', 'plan'], { planBackups: plan })).printed[0] ?? ''
  assert.match(planned, /^web01 +blade01 +depot +pause +1970-\d\d-\d\d \S+ +4 s +1 h ago +never +-$/m)
  assert.match(planned, /^db01 +blade01 +- +off +never +- +never +never +its backups are off$/m)
  assert.match(planned, /\n\nThe last of them ends about \S+ \S+\.$/)
  // It begins when the others have ended, and nobody knows when it ends itself.
  const unknown = { vm: 'new01', blade: 'blade02', nextAt: NOW + 3 * HOUR, expectedEndAt: NOW + 3 * HOUR }
  const mixed = BackupPlan.fromPartial({ backups: [...plan.backups, unknown] })
  assert.match(
    (await runCli(['backup', 'plan'], { planBackups: mixed })).printed[0] ?? '',
    new RegExp(`known for 1 of 2 VMs: the last of those ends about ${renderTime(NOW + HOUR + 4000)}\\.$`),
  )
  const policy = BackupPolicy.fromPartial({
    vm: 'web01',
    mode: 'freeze',
    schedule: '0 2 * * *',
    vault: 'depot',
    keep: { keepDaily: 7 },
    explanation: ['mode freeze, by the tag backup=freeze'],
  })
  const told = await runCli(['backup', 'policy', 'explain', 'web01'], { explainBackupPolicy: policy })
  assert.match(
    told.printed[0] ?? '',
    /keeps 0 last, 7 daily.*\n\nWhere it comes from:\n {2}mode freeze, by the tag/,
  )
})

test('a VM shows its tags and how its backups stand; status counts them', async () => {
  const vm = VmView.fromPartial({
    name: 'web01',
    tags: ['backup=freeze'],
    backup: {
      newest: POINT,
      newestAt: NOW - HOUR,
      newestVerifiedAt: NOW - 2 * HOUR,
      recoveryMs: 41_000,
      overdue: true,
      text: 'backed up 1 h ago: overdue',
    },
  })
  const shown = (await runCli(['vm', 'show', 'web01'], { getVm: vm })).printed[0] ?? ''
  assert.match(shown, /\n\nTags: backup=freeze\n/)
  assert.match(
    shown,
    /Backup: backed up 1 h ago: overdue\n {2}newest web01@20261128T020512Z; verified: that of 2 h ago, a restore ran again in 41 s/,
  )
  const status = Status.fromPartial({
    backup: { vms: 30, verified: 28, overdue: 2, vault: 'depot', text: 'two VMs are overdue' },
  })
  assert.match(
    (await runCli(['status'], { getStatus: status })).printed[0] ?? '',
    /Backups: two VMs are overdue. Which: lifeboat backup plan\n/,
  )
})

test('tags are set and taken away; what is no tag is told before the controller is asked', async () => {
  const tagged = VmView.fromPartial({ name: 'web01', tags: ['backup=off'] })
  const run = await runCli(['vm', 'tag', 'web01', 'backup=off', '--remove', 'owner'], { setVmTags: tagged })
  assert.deepEqual(run.asked[0]?.request, { name: 'web01', set: ['backup=off'], remove: ['owner'] })
  assert.equal(run.printed[0], 'web01: backup=off')
  for (const argv of [[], ['backup'], ['=off'], ['backup=']]) {
    await assert.rejects(runCli(['vm', 'tag', 'web01', ...argv], {}), { code: 'bad-input' }, argv.join())
  }
})
