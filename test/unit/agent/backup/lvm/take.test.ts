import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SnapshotRequest } from '../../../../../agent/backup/snapshots.ts'
import { createManualClock, settle } from '../../../../fakes/manual-clock.ts'
import { createFakeBlade, type FakeBlade, volume } from './fake-blade.ts'

const TWO = [volume('vda', '/dev/vg0/web01'), volume('vdb', '/dev/vg0/web01-data')]

async function taken(blade: FakeBlade, change: Partial<SnapshotRequest> = {}) {
  const plan = await blade.snapshots.plan(blade.request(change), blade.run)
  return await blade.snapshots.take(plan, blade.run)
}

const ours = (blade: FakeBlade) => blade.lvs.filter(lv => lv.tags.includes('lifeboat.snapshot'))

/** As before: the guest runs, no timer waits, no snapshot is left. */
function assertUntouched(blade: FakeBlade): void {
  assertRuns(blade)
  assert.deepEqual(ours(blade), [])
}

/** The guest runs, and nothing of a timer is left. */
function assertRuns({ guest, timer, retrying }: FakeBlade): void {
  assert.deepEqual([guest.state, guest.frozen, timer, retrying], ['running', false, undefined, false])
}

const timersOf = (blade: FakeBlade) =>
  blade.log.filter(line => line.startsWith('systemd-run')).map(line => line.split(' ').at(-1))

test('between suspend and resume nothing happens but the snapshots, all of them', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: TWO }
  const snapshot = await taken(blade)
  const verbs = blade.log.map(line => line.split(' ').slice(0, 2).join(' '))
  const from = verbs.indexOf('virsh> suspend')
  assert.deepEqual(verbs.slice(from, verbs.indexOf('virsh> resume') + 1), [
    'virsh> suspend',
    'lvm> lvconvert',
    'lvm> lvconvert',
    'virsh> resume',
  ])
  assert.ok(verbs.indexOf('systemd-run --quiet') < from, 'the timer is armed before the guest stands still')
  assert.deepEqual([snapshot.consistency, snapshot.sources.length, blade.timer], ['paused', 2, undefined])
})

test('what was typed is kept like any command, with its exit code', async () => {
  const blade = createFakeBlade()
  await taken(blade)
  const told = blade.noted.map(({ argv, exitCode }) => `${argv.slice(0, 2).join(' ')} ${exitCode}`)
  assert.deepEqual(told.slice(-3), ['virsh suspend 0', 'lvm lvconvert 0', 'virsh resume 0'])
})

test('a snapshot that fails lets the guest go, and those already made are removed', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: TWO }
  blade.faults.push({ line: /lvconvert .*web01-data/, what: 'fail' })
  await assert.rejects(taken(blade), {
    code: 'command-failed',
    message: 'failed to snapshot the volumes of web01',
  })
  assert.equal(blade.noted.at(-2)?.exitCode, 1)
  assertUntouched(blade)
})

test('an LVM that does not answer within the budget: the guest goes on, the backup fails with timeout', async () => {
  const clock = createManualClock()
  const blade = createFakeBlade(clock)
  blade.faults.push({ line: /^lvm> lvconvert/, what: 'hang' })
  const taking = taken(blade).then(
    () => 'no error',
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  )
  await settle()
  assert.equal(blade.guest.state, 'paused')
  await clock.advance(4500)
  assert.equal(await taking, 'timeout: the pause budget of web01 (5000 ms) ran out')
  assertUntouched(blade)
})

test('an LVM that dies with a device suspended: the device is resumed, or the guest would hang', async () => {
  const blade = createFakeBlade()
  blade.faults.push({ line: /^lvm> lvconvert/, what: 'die' })
  blade.suspended = ['vg0-web01', 'vg0-web01-real', 'vg0-somebody']
  await assert.rejects(taken(blade), { code: 'command-failed' })
  assert.deepEqual(blade.suspended, ['vg0-somebody'])
  const resumed = blade.log.filter(line => line.startsWith('dmsetup resume'))
  assert.deepEqual(resumed, ['dmsetup resume vg0-web01-real', 'dmsetup resume vg0-web01'])
  assertUntouched(blade)
})

test('a suspend that fails is answered by a resume, in case it did something', async () => {
  const blade = createFakeBlade()
  blade.faults.push({ line: /^virsh> suspend/, what: 'fail' })
  await assert.rejects(taken(blade), { code: 'command-failed' })
  assert.ok(blade.log.some(line => line.startsWith('virsh --connect qemu:///system resume')))
  assertUntouched(blade)
})

test('a virsh that dies before the resume: another one resumes the guest', async () => {
  const blade = createFakeBlade()
  blade.faults.push({ line: /^virsh> resume/, what: 'die' })
  await assert.rejects(taken(blade), { code: 'timeout' })
  assertUntouched(blade)
})

test('a suspend that comes late is answered by the last resume, when virsh has ended', async () => {
  const clock = createManualClock()
  const blade = createFakeBlade(clock)
  blade.faults.push({ line: /^virsh> suspend/, what: 'hang' })
  const before = blade.run.follow
  // libvirt was busy: it does what was asked just before virsh ends, when the timer has struck already.
  blade.run.follow = (argv, options) => {
    const program = before(argv, options)
    const write = (line: string) => {
      if (line === 'quit') {
        blade.timer = undefined
        blade.guest.state = 'paused'
      }
      program.write(line)
    }
    return { ...program, write }
  }
  const taking = assert.rejects(taken(blade), { code: 'timeout' })
  await settle()
  await clock.advance(4500)
  await taking
  assertUntouched(blade)
})

test('a VM that was off at the time of the plan is held when it runs at that of the snapshot', async () => {
  const blade = createFakeBlade()
  blade.guest.state = 'shut off'
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  blade.guest.state = 'running'
  assert.equal((await blade.snapshots.take(plan, blade.run)).consistency, 'paused')
})

test('what cannot be removed does not hide what went wrong', async () => {
  const blade = createFakeBlade()
  blade.faults.push({ line: /^lvm> lvconvert/, what: 'fail' }, { line: /^lvremove/, what: 'fail' })
  await assert.rejects(taken(blade), { message: 'failed to snapshot the volumes of web01' })
  assert.deepEqual([blade.guest.state, blade.timer], ['running', undefined])
})

test('without a timer the guest is not held at all', async () => {
  const blade = createFakeBlade()
  blade.faults.push({ line: /^systemd-run/, what: 'fail' })
  await assert.rejects(taken(blade), { code: 'command-failed' })
  assert.ok(!blade.log.some(line => line.startsWith('virsh> suspend')))
  assertUntouched(blade)
})

test('a guest with an agent is frozen, and told to be consistent for its applications', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  const snapshot = await taken(blade, { mode: 'freeze' })
  assert.equal(snapshot.consistency, 'application')
  assert.deepEqual([blade.guest.frozen, blade.timer], [false, undefined])
  assert.ok(!blade.log.some(line => line.startsWith('virsh> suspend')))
})

test('an agent that refuses to freeze is thawed, and the guest paused under the one timer that does both', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  blade.faults.push({ line: /domfsfreeze/, what: 'fail' })
  const snapshot = await taken(blade, { mode: 'freeze' })
  assert.equal(snapshot.consistency, 'paused')
  assert.deepEqual(timersOf(blade), ['thaw'])
  assert.ok(blade.log.some(line => line.includes('domfsthaw 5d1f')))
  assertRuns(blade)
})

test('an agent that is gone since the plan was made is not asked to freeze', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  const plan = await blade.snapshots.plan(blade.request({ mode: 'freeze' }), blade.run)
  blade.guest.hasAgent = false
  assert.equal((await blade.snapshots.take(plan, blade.run)).consistency, 'paused')
  assert.deepEqual(timersOf(blade), ['resume'])
  assert.ok(!blade.log.some(line => line.includes('domfsfreeze')))
})

test('a guest that somebody else has frozen is paused, and stays frozen', async () => {
  const blade = createFakeBlade()
  Object.assign(blade.guest, { hasAgent: true, frozen: true })
  assert.equal((await taken(blade, { mode: 'freeze' })).consistency, 'paused')
  assert.equal(blade.guest.frozen, true)
})

test('an agent that falls silent once it has frozen: the backup fails, and the timer goes on until it thaws', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  const plan = await blade.snapshots.plan(blade.request({ mode: 'freeze' }), blade.run)
  blade.faults.push({ line: /^virsh.* domfsthaw/, what: 'fail' })
  const silent = { code: 'command-failed', message: /^the guest may still be frozen/ }
  await assert.rejects(blade.snapshots.take(plan, blade.run), silent)
  assert.deepEqual([blade.guest.frozen, blade.timer, ours(blade)], [true, 'thaw', []])
  await assert.rejects(blade.snapshots.release(plan, undefined, blade.run), silent)
  assert.deepEqual([blade.guest.frozen, blade.timer], [true, 'thaw'])
  blade.faults.length = 0
  await blade.snapshots.release(plan, undefined, blade.run)
  assertUntouched(blade)
})

test('a frozen VM that was switched off meanwhile has nothing to thaw', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  const plan = await blade.snapshots.plan(blade.request({ mode: 'freeze' }), blade.run)
  blade.run.note = ({ argv }) => {
    if (argv.includes('lvconvert')) blade.guest.state = 'shut off'
  }
  blade.faults.push({ line: /^virsh> domfsthaw/, what: 'fail' })
  await assert.rejects(blade.snapshots.take(plan, blade.run), { code: 'timeout' })
  assert.deepEqual([blade.guest.state, blade.timer, ours(blade)], ['shut off', undefined, []])
})

test('a libvirt that goes away during the freeze: nobody knows, so nothing is held and the timer goes on', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  blade.faults.push({ line: /^virsh .*(domfsfreeze|domfsthaw|list)/, what: 'fail' })
  await assert.rejects(taken(blade, { mode: 'freeze' }), { code: 'command-failed' })
  assert.equal(blade.timer, 'thaw')
  assert.ok(!blade.log.some(line => line.startsWith('virsh> suspend')))
})

test('a libvirt that goes away in the pause: the backup fails, and the timer goes on until the guest runs', async () => {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  blade.faults.push({ line: /^virsh> resume/, what: 'die' }, { line: /^virsh .*(resume|list)/, what: 'fail' })
  await assert.rejects(blade.snapshots.take(plan, blade.run), { code: 'command-failed' })
  assert.deepEqual([blade.guest.state, blade.timer, ours(blade)], ['paused', 'resume', []])
  // It answers again, but cannot resume: still no reason to stop the timer.
  blade.faults.splice(0, 2, { line: /^virsh .*resume/, what: 'fail' })
  await assert.rejects(blade.snapshots.release(plan, undefined, blade.run), {
    code: 'command-failed',
    message: /^the guest still stands/,
  })
  assert.deepEqual([blade.guest.state, blade.timer], ['paused', 'resume'])
  blade.faults.length = 0
  await blade.snapshots.release(plan, undefined, blade.run)
  assertUntouched(blade)
})

for (const before of ['shut off', 'paused'] as const) {
  test(`a VM that was ${before} and is started while it is snapshotted has disks as after a crash`, async () => {
    const blade = createFakeBlade()
    blade.guest.state = before
    const plan = await blade.snapshots.plan(blade.request(), blade.run)
    blade.run.note = ({ argv }) => {
      if (argv.includes('lvconvert')) blade.guest.state = 'running'
    }
    const snapshot = await blade.snapshots.take(plan, blade.run)
    assert.deepEqual([snapshot.consistency, snapshot.pauseMs], ['crash', 0])
  })
}

test('a freeze that hangs is killed and thawed, and the backup fails', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  blade.faults.push({ line: /domfsfreeze/, what: 'hang' })
  await assert.rejects(taken(blade, { mode: 'freeze' }), { code: 'timeout' })
  assertUntouched(blade)
})

test('a guest thawed by somebody else has no moment', async () => {
  const blade = createFakeBlade()
  blade.guest.hasAgent = true
  const plan = await blade.snapshots.plan(blade.request({ mode: 'freeze' }), blade.run)
  const before = blade.run.note
  blade.run.note = record => {
    if (record.argv.includes('lvconvert')) blade.guest.frozen = false
    before(record)
  }
  await assert.rejects(blade.snapshots.take(plan, blade.run), { code: 'timeout' })
  assertUntouched(blade)
})

test('thin help: the ranges of thin_delta, and its hold on the metadata given back, also after a failure', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [volume('vda', '/dev/vg0/thin01', 'thin')] }
  const point = '20261128T020512Z'
  const monday = await blade.snapshots.plan(blade.request(), blade.run)
  await blade.snapshots.take(monday, blade.run)
  await blade.snapshots.release(monday, point, blade.run)
  blade.metadataSnapshot = true
  blade.thinDelta =
    '<superblock uuid="" time="1" transaction="1" data_block_size="128" nr_data_blocks="0">\n  <diff left="3" right="4">\n    <same begin="0" length="2"/>\n    <different begin="2" length="1"/>\n  </diff>\n</superblock>'
  const [source] = (await taken(blade, { backupId: 'b2' })).sources
  assert.deepEqual(source?.changed, { basePoint: point, ranges: [{ fromBytes: 131072, toBytes: 196608 }] })
  assert.equal(blade.metadataSnapshot, false)

  blade.faults.push({ line: /^thin_delta/, what: 'fail' })
  const [other] = (await taken(blade, { backupId: 'b3' })).sources
  assert.deepEqual([other?.changed, blade.metadataSnapshot], [undefined, false])
})
