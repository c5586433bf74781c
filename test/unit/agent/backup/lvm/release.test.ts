import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeBlade, MIB, volume } from './fake-blade.ts'

const THIN = [volume('vda', '/dev/vg0/thin01', 'thin')]
const names = (blade: ReturnType<typeof createFakeBlade>) =>
  blade.lvs.filter(lv => lv.name.startsWith('lifeboat-')).map(lv => lv.name)

test('a guest whose timer still waits is let go before anything else', async () => {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  blade.guest.state = 'paused'
  blade.timer = 'resume'
  blade.suspended = ['vg0-web01']
  blade.log.length = 0
  await blade.snapshots.release(plan, undefined, blade.run)
  assert.deepEqual([blade.guest.state, blade.timer, blade.suspended], ['running', undefined, []])
  assert.ok(
    blade.log.findIndex(line => line.includes(' resume ')) <
      blade.log.findIndex(line => line.startsWith('lvm fullreport')),
  )
})

test('a timer that has struck and still tries tells as much as one that waits, and is stopped when the guest runs', async () => {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  blade.guest.state = 'paused'
  blade.retrying = true
  await blade.snapshots.release(plan, undefined, blade.run)
  assert.deepEqual([blade.guest.state, blade.retrying], ['running', false])
})

for (const mode of ['pause', 'crash'] as const) {
  test(`devices that a killed LVM left suspended are resumed when no timer is left (${mode})`, async () => {
    const blade = createFakeBlade()
    const plan = await blade.snapshots.plan(blade.request({ mode }), blade.run)
    blade.suspended = ['vg0-web01', 'vg0-somebody']
    await blade.snapshots.release(plan, undefined, blade.run)
    assert.deepEqual(blade.suspended, ['vg0-somebody'])
  })
}

test('a guest does not wait for devices that cannot be asked', async () => {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  blade.guest.state = 'paused'
  blade.timer = 'resume'
  blade.faults.push({ line: /^dmsetup info/, what: 'fail' })
  await assert.rejects(blade.snapshots.release(plan, undefined, blade.run), { code: 'command-failed' })
  assert.deepEqual([blade.guest.state, blade.timer], ['running', undefined])
})

test('a guest that somebody paused after the backup let it go stays paused', async () => {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  await blade.snapshots.take(plan, blade.run)
  blade.guest.state = 'paused'
  await blade.snapshots.release(plan, undefined, blade.run)
  assert.equal(blade.guest.state, 'paused')
})

test('a published thin snapshot takes the place of the one before; a thick one goes', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [...THIN, volume('vdb', '/dev/vg0/web01')] }
  for (const [backupId, point] of [
    ['b1', '20261128T020512Z'],
    ['b2', '20261129T020512Z'],
  ] as const) {
    const plan = await blade.snapshots.plan(blade.request({ backupId }), blade.run)
    await blade.snapshots.take(plan, blade.run)
    await blade.snapshots.release(plan, point, blade.run)
    await blade.snapshots.release(plan, point, blade.run)
    assert.deepEqual(names(blade), [`lifeboat-${backupId}-0`])
  }
  assert.deepEqual(await blade.snapshots.leftovers(blade.run), [
    { path: '/dev/vg0/lifeboat-b2-0', backupId: 'b2', base: true },
  ])
})

test('in a pool that fills no snapshot is kept for the next night', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: THIN }
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  await blade.snapshots.take(plan, blade.run)
  Object.assign(blade.lvs.find(lv => lv.name === 'pool') ?? {}, { dataPercent: '85.00' })
  await blade.snapshots.release(plan, '20261128T020512Z', blade.run)
  assert.deepEqual(names(blade), [])
})

test('a mounted snapshot is unmounted before it is removed', async () => {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  await blade.snapshots.take(plan, blade.run)
  blade.files['/proc/self/mountinfo'] +=
    '50 22 253:9 / /run/lifeboat/snapshots/lifeboat-b1-0 ro - ext4 /dev/dm-9 ro\n'
  blade.log.length = 0
  await blade.snapshots.release(plan, undefined, blade.run)
  const acts = blade.log.filter(line => /^(umount|lvremove)/.test(line)).map(line => line.split(' ')[0])
  assert.deepEqual(acts, ['umount', 'lvremove'])
})

async function watched(prepare: (blade: ReturnType<typeof createFakeBlade>) => void) {
  const blade = createFakeBlade()
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  await blade.snapshots.take(plan, blade.run)
  prepare(blade)
  const stop = new AbortController()
  const looked = blade.snapshots.watch(plan, blade.run, stop.signal)
  setTimeout(() => stop.abort(), 50)
  return {
    blade,
    outcome: await looked.then(
      () => 'well',
      (error: Error) => error.message,
    ),
  }
}

const fill = (blade: ReturnType<typeof createFakeBlade>, percent: string) =>
  Object.assign(blade.lvs.find(lv => lv.name === 'lifeboat-b1-0') ?? {}, { dataPercent: percent })

test('a snapshot that fills is extended while there is room', async () => {
  let before = 0
  const { blade, outcome } = await watched(each => {
    fill(each, '61.00')
    before = each.lvs.find(lv => lv.name === 'lifeboat-b1-0')?.sizeBytes ?? 0
    assert.ok(before > 16 * MIB)
  })
  assert.equal(outcome, 'well')
  assert.ok((blade.lvs.find(lv => lv.name === 'lifeboat-b1-0')?.sizeBytes ?? 0) > before)
})

test('without room it is dropped before it overflows, and the reader is told', async () => {
  const { blade, outcome } = await watched(each => {
    fill(each, '91.00')
    each.freeBytes = 0
  })
  assert.equal(
    outcome,
    'the backup of web01 lost its snapshot: /dev/vg0/lifeboat-b1-0 was full to 91 % and could not grow',
  )
  assert.deepEqual(names(blade), [])
})

test('a full snapshot whose reader still holds it is told all the same', async () => {
  const { outcome } = await watched(each => {
    fill(each, '100.00')
    each.faults.push({ line: /^lvremove/, what: 'fail' })
  })
  assert.match(outcome, /lost its snapshot/)
})

test('what bears no tag of ours is never dropped', async () => {
  const blade = createFakeBlade()
  const disk = { path: '/dev/vg0/web01', backupId: 'b1', base: false }
  await assert.rejects(blade.snapshots.drop(disk, blade.run), { code: 'refused' })
  await blade.snapshots.drop({ ...disk, path: '/dev/vg0/gone' }, blade.run)
  assert.equal(blade.lvs.length, 4)
})
