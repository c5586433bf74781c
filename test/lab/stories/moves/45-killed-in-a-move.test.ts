import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type { Operation } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { openLab } from '../../lab.ts'
import { assertSound, beginMove, calm, describeOperation, ended, vm } from '../support/fleet.ts'
import { waitForMigration } from '../support/migration.ts'

const lab = openLab()
const GUEST = 'wiki01'

beforeEach(() => calm(lab))

interface Under {
  operation: Operation
  from: string
  to: string
}

/** Begins a move of the guest to the other one of two blades and returns when libvirt is in the middle of it. */
async function midMove(): Promise<Under> {
  const from = (await vm(lab, GUEST)).blade
  const to = from === 'blade02' ? 'blade03' : 'blade02'
  const operation = await beginMove(lab, GUEST, to)
  await waitForMigration(lab, from, GUEST)
  return { operation, from, to }
}

/** The main process of a unit; systemd has brought it back when it is another one. */
async function mainPid(host: string, unit: string): Promise<number> {
  const text = await lab.mustExec(host, ['systemctl', 'show', '--value', '-p', 'MainPID', unit])
  return Number(text)
}

async function cameBack(host: string, unit: string, killedPid: number): Promise<void> {
  await lab.waitFor(
    `${unit} on ${host} to come back`,
    async () => {
      const active = await lab.exec(host, ['systemctl', 'is-active', unit])
      const pid = await mainPid(host, unit)
      return active.stdout.toString().trim() === 'active' && pid > 0 && pid !== killedPid
    },
    90_000,
  )
}

/** The operation ends, done or undone, and in either case the VM is where the operation says, once, and whole. */
async function assertEndsWell({ operation, from, to }: Under): Promise<void> {
  const found = await ended(lab, operation.id)
  console.log(`${found.id}: ${found.state}, ${found.outcome}`)
  assert.ok(found.state === 'done' || found.state === 'undone', describeOperation(found))
  const place = found.state === 'done' ? to : from
  await lab.waitFor(`${GUEST} on ${place}`, async () => (await vm(lab, GUEST)).blade === place, 60_000)
  await assertSound(lab)
  const other = place === to ? from : to
  const left = await lab.mustExec(other, ['virsh', 'list', '--all', '--name'])
  assert.ok(!left.split('\n').includes(GUEST), `${other} still has a definition of ${GUEST}`)
  const volumes = await lab.mustExec(other, ['lvs', '--noheadings', '-o', 'lv_name', 'vg0'])
  assert.ok(!volumes.split(/\s+/).includes(GUEST), `${other} still has a volume ${GUEST}`)
}

for (const role of ['source', 'target'] as const) {
  test(`the agent of the ${role} is killed in the middle of a move`, async () => {
    const under = await midMove()
    const victim = role === 'source' ? under.from : under.to
    const pid = await mainPid(victim, 'lifeboat-agent')
    await lab.killAgent(victim)
    await cameBack(victim, 'lifeboat-agent', pid)
    await assertEndsWell(under)
  })
}

test('the controller is killed in the middle of a move', async () => {
  const under = await midMove()
  const pid = await mainPid('depot', 'lifeboat-controller')
  await lab.killController()
  await cameBack('depot', 'lifeboat-controller', pid)
  await lab.waitFor('answer of the controller', async () => (await lab.cli(['status'])).code === 0, 60_000)
  await assertEndsWell(under)
})

test('a move that nobody disturbs works after all that', async () => {
  const from = (await vm(lab, GUEST)).blade
  const begun = await beginMove(lab, GUEST, from === 'blade02' ? 'blade03' : 'blade02')
  const found = await ended(lab, begun.id)
  assert.equal(found.state, 'done', describeOperation(found))
  await assertSound(lab)
})
