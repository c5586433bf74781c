import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Operation } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { openLab } from '../../lab.ts'
import {
  assertSound,
  beginMove,
  blade,
  calm,
  describeOperation,
  ended,
  move,
  OPERATION_LIMIT_MS,
  operation,
  place,
  vm,
} from '../support/fleet.ts'
import { limitSpeed, slowDown, waitForMigration } from '../support/migration.ts'

const lab = openLab()
/** 48 MiB take most of a minute at it: the abort is there long before the end. */
const SLOW_MIB_S = 1
const FULL_MIB_S = 1000

before(async () => {
  await calm(lab)
  await place(lab, { wiki01: 'blade02' })
})

test('a running move is aborted: everything is back, and the next one works', async () => {
  const path = (await vm(lab, 'wiki01')).volumes[0]?.path ?? ''
  await slowDown(lab, 'blade02', { name: 'wiki01', path, sizeMiB: 64 }, SLOW_MIB_S)
  const begun = await beginMove(lab, 'wiki01', 'blade03')
  await waitForMigration(lab, 'blade02', 'wiki01')
  await lab.cliJson(['operation', 'abort', begun.id])
  const found = await ended(lab, begun.id)
  assert.equal(found.state, 'undone', describeOperation(found))
  assert.equal((await vm(lab, 'wiki01')).blade, 'blade02')
  const defined = await lab.mustExec('blade03', ['virsh', 'list', '--all', '--name'])
  assert.ok(!defined.split('\n').includes('wiki01'), 'blade03 still has a definition')
  const volumes = await lab.mustExec('blade03', ['lvs', '--noheadings', '-o', 'lv_name', 'vg0'])
  assert.ok(!volumes.split(/\s+/).includes('wiki01'), 'blade03 still has the volume')
  await assertSound(lab)
  await limitSpeed(lab, 'blade02', 'wiki01', FULL_MIB_S)
  await move(lab, 'wiki01', 'blade03')
})

/** The one LV of a VM, as it is on a blade's disk. */
async function checksum(host: string, path: string): Promise<string> {
  const text = await lab.mustExec(host, ['sha256sum', path], { timeoutMs: 120_000 })
  return text.split(' ')[0] ?? ''
}

test('a stopped VM is moved cold by an evacuation, and its volume is the same to the last byte', async () => {
  const from = (await vm(lab, 'print01')).blade
  await place(lab, await emptied(from))
  await lab.cliJson(['vm', 'stop', 'print01', '--force'], 120_000)
  const path = (await vm(lab, 'print01')).volumes[0]?.path ?? ''
  const sum = await checksum(from, path)

  const result = await lab.cli(['evacuate', from, '--output', 'json'], OPERATION_LIMIT_MS)
  assert.equal(result.code, 0, result.stderr)
  const whole = JSON.parse(result.stdout.toString()) as Operation
  assert.equal(whole.children.length, 1)
  const moved = await operation(lab, whole.children[0] ?? '')
  assert.deepEqual(
    [moved.vm, moved.method, moved.state],
    ['print01', 'cold', 'done'],
    describeOperation(moved),
  )
  assert.equal((await blade(lab, from)).admin, 'cordoned')

  const there = await vm(lab, 'print01')
  assert.deepEqual([there.blade, there.state], [moved.to, 'stopped'])
  assert.equal(await checksum(moved.to, there.volumes[0]?.path ?? ''), sum)
  assert.equal(there.volumes[0]?.storage, 'thin')

  await lab.cliJson(['vm', 'start', 'print01'], 120_000)
  await assertSound(lab)
  await lab.cliJson(['blade', 'uncordon', from])
})

/** Where the other VMs of a blade go, so that the evacuation has one VM to move. */
async function emptied(name: string): Promise<Record<string, string>> {
  const others = (await blade(lab, name)).vms.filter(each => each !== 'print01')
  const free = lab.blades.filter(each => each !== name)
  return Object.fromEntries(others.map((each, i) => [each, free[i % free.length] ?? name]))
}
