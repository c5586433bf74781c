import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Plan } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { openLab } from '../../lab.ts'
import type { GuestSetting } from '../../settings.ts'
import { define, domainXml, hostCdrom, passedThroughDevice, undefine } from '../support/domains.ts'
import { assertAgrees, calm, operations, place, vm } from '../support/fleet.ts'

const lab = openLab()

/** Of the 1.5 GiB of a blade 1 GiB is for VMs: it fits beside nothing. */
const BIG: GuestSetting = {
  name: 'big01',
  blade: 'blade02',
  memoryMiB: 1_000,
  volumes: [{ name: 'big01', sizeMiB: 16, thin: false }],
}

let before_: string[] = []

before(async () => {
  await calm(lab)
  await place(lab, { wiki01: 'blade02' })
  await lab.createGuest(BIG)
  await lab.mustExec('blade02', ['truncate', '-s', '1M', '/root/setup.iso'])
  await define(lab, 'blade02', 'cdrom01', domainXml('cdrom01', [hostCdrom('/root/setup.iso')]))
  await define(lab, 'blade02', 'pci01', domainXml('pci01', [passedThroughDevice()]))
  for (const name of ['big01', 'cdrom01', 'pci01'])
    await lab.waitFor(`${name} to be seen`, () => vm(lab, name), 60_000)
  before_ = (await operations(lab)).map(each => each.id)
})

after(async () => {
  await lab.removeGuest(BIG)
  for (const name of ['cdrom01', 'pci01']) await undefine(lab, 'blade02', name)
})

test('evacuate --plan names targets, methods, downtime and end, what stays and why, and moves nothing', async () => {
  // Its exit code says that some stay.
  const answer = await lab.cli(['evacuate', 'blade02', '--plan', '--output', 'json'])
  const plan = JSON.parse(answer.stdout.toString('utf8')) as Plan
  const wiki = plan.moves.find(each => each.vm === 'wiki01')
  assert.ok(wiki)
  assert.deepEqual([wiki.from, wiki.method], ['blade02', 'live'])
  assert.ok(['blade01', 'blade03'].includes(wiki.to))
  assert.ok(wiki.expectedDowntimeMs > 0 && wiki.expectedEndMs > 0 && plan.expectedEndMs >= wiki.expectedEndMs)

  const codes = (name: string) =>
    (plan.unplaced.find(each => each.vm === name)?.reasons ?? []).map(reason => reason.code)
  assert.ok(codes('big01').includes('memory-short'), `big01: ${codes('big01').join(' ')}`)
  assert.ok(codes('cdrom01').includes('host-cdrom'), `cdrom01: ${codes('cdrom01').join(' ')}`)
  assert.ok(codes('pci01').includes('passed-through-device'), `pci01: ${codes('pci01').join(' ')}`)
  for (const load of plan.after) assert.ok(load.vms <= load.maxVms, `${load.blade}: ${load.vms}`)

  // What a person reads says the same.
  const text = (await lab.cli(['evacuate', 'blade02', '--plan'])).stdout.toString('utf8')
  for (const word of [/wiki01/, /live/, /big01/, /memory/i, /cdrom01/, /setup\.iso/, /pci01/])
    assert.match(text, word)

  assert.deepEqual(
    (await operations(lab)).map(each => each.id),
    before_,
  )
  assert.equal((await vm(lab, 'wiki01')).blade, 'blade02')
  await assertAgrees(lab)
})

test('vm list and why-not name the obstacle of a VM that cannot move', async () => {
  const seen = await vm(lab, 'cdrom01')
  assert.deepEqual(
    seen.obstacles.map(reason => reason.code),
    ['host-cdrom'],
  )
  assert.match(seen.obstacles[0]?.text ?? '', /\/root\/setup\.iso.*virsh change-media/)
  const whyNot = await lab.cliJson<{ possible: boolean; reasons: { code: string }[] }>([
    'why-not',
    'big01',
    'blade03',
  ])
  assert.equal(whyNot.possible, false)
  assert.ok(whyNot.reasons.some(reason => reason.code === 'memory-short'))
})
