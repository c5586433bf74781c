import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Operation } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { checkRing } from '../../guest/record.ts'
import { openLab } from '../../lab.ts'
import { backUp, points } from '../support/backups.ts'
import { undefine } from '../support/domains.ts'
import {
  assertSound,
  calm,
  describeOperation,
  ended,
  leaveRoom,
  OPERATION_LIMIT_MS,
  place,
  vm,
} from '../support/fleet.ts'

const lab = openLab()
const FROM = 'blade02'
const TO = 'blade03'
const COPY = 'wiki-new'

before(async () => {
  await calm(lab)
  await place(lab, { wiki01: FROM })
  await leaveRoom(lab, TO, 2)
})

after(async () => {
  await undefine(lab, TO, COPY)
  await lab.exec(TO, [
    'sh',
    '-c',
    'lvs --noheadings -o lv_path vg0 | grep -E "wiki-new" | xargs -r lvremove -qfy',
  ])
})

async function words(host: string, argv: readonly string[]): Promise<string[]> {
  return (await lab.mustExec(host, argv, { timeoutMs: 60_000 })).split(/\s+/).filter(Boolean)
}

const definedOn = (host: string) => words(host, ['virsh', 'list', '--all', '--name'])
const volumesOn = (host: string) => words(host, ['lvs', '--noheadings', '-o', 'lv_path', 'vg0'])

async function restore(...args: string[]): Promise<Operation> {
  const begun = await lab.cliJson<Operation>(['backup', 'restore', ...args, '--no-wait'])
  const found = await ended(lab, begun.id)
  assert.equal(found.state, 'done', describeOperation(found))
  return found
}

test('a VM comes back on another blade under a new name, with an identity of its own, and goes on', async () => {
  const { point } = await backUp(lab, 'wiki01')
  await restore(`wiki01@${point}`, '--to', TO, '--name', COPY)
  const [copy, original] = [await vm(lab, COPY), await vm(lab, 'wiki01')]
  assert.equal(copy.blade, TO)
  assert.notEqual(copy.id, original.id)
  assert.equal(copy.state, 'stopped')

  const path = copy.volumes[0]?.path ?? ''
  const restored = checkRing((await lab.exec(TO, ['cat', path], { timeoutMs: 60_000 })).stdout)
  assert.deepEqual([restored.name, restored.badCount], ['wiki01', 0])

  await lab.cliJson(['vm', 'start', COPY], 120_000)
  const stepsNow = async () => {
    const argv = ['dd', `if=${path}`, 'bs=1M', 'count=9', 'iflag=direct', 'status=none']
    return checkRing((await lab.exec(TO, argv, { timeoutMs: 60_000 })).stdout)
  }
  const later = await lab.waitFor(
    'the copy to count on',
    async () => {
      const now = await stepsNow()
      return now.boots > restored.boots && now.last > restored.last && now
    },
    60_000,
  )
  assert.equal(later.badCount, 0)
  await lab.cliJson(['vm', 'stop', COPY, '--force'], 120_000)
})

test('under the name of a VM that is there nothing is restored, and the refusal says what to do', async () => {
  const result = await lab.cli(['backup', 'restore', 'wiki01', '--to', TO, '--output', 'json'])
  assert.notEqual(result.code, 0)
  assert.match(result.stdout.toString() + result.stderr, /wiki01/)
  assert.match(result.stdout.toString() + result.stderr, /--name/)
})

test('one disk alone comes back as a volume, and no VM is defined', async () => {
  const [defined, before] = [await definedOn(TO), await volumesOn(TO)]
  await restore('wiki01', '--to', TO, '--disk', 'vda')
  assert.deepEqual(await definedOn(TO), defined)
  const [made, ...others] = (await volumesOn(TO)).filter(path => !before.includes(path))
  assert.deepEqual([made === undefined, others], [false, []])
  const ring = checkRing((await lab.exec(TO, ['cat', made ?? ''], { timeoutMs: 60_000 })).stdout)
  assert.deepEqual([ring.name, ring.badCount], ['wiki01', 0])
  await lab.mustExec(TO, ['lvremove', '-qfy', made ?? ''], { timeoutMs: 60_000 })
})

test('a restore point is proven by booting it: the time is kept, and nothing of the test stays', async () => {
  const before = await volumesOn(TO)
  const argv = ['backup', 'verify', 'wiki01', '--boot', '--to', TO, '--no-wait']
  const begun = await lab.cliJson<Operation>(argv, OPERATION_LIMIT_MS)
  const found = await ended(lab, begun.id)
  assert.equal(found.state, 'done', describeOperation(found))
  assert.ok(found.recoveryMs > 0, 'no recovery time')
  console.log(`restored and booted in ${found.recoveryMs} ms`)
  const newest = (await points(lab, 'wiki01')).sort((a, b) => b.point.localeCompare(a.point))[0]
  assert.ok(
    (newest?.bootedAt ?? 0) > 0 && newest?.bootError === '',
    'the restore point does not say that it booted',
  )
  assert.equal(newest?.recoveryMs, found.recoveryMs)
  assert.deepEqual(await volumesOn(TO), before)
  assert.deepEqual(
    (await definedOn(TO)).filter(name => name.startsWith('lifeboat-test')),
    [],
  )
  await assertSound(lab)
})
