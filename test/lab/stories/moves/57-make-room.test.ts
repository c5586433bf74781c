import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Operation, Plan } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { openLab } from '../../lab.ts'
import { CONTROLLER_TOML } from '../../settings.ts'
import { configureController } from '../support/configure.ts'
import {
  assertSound,
  blade,
  calm,
  describeOperation,
  OPERATION_LIMIT_MS,
  operation,
  place,
  vm,
} from '../support/fleet.ts'

const lab = openLab()

/** wiki01 may not go to blade03, and blade01 may run no fourth VM: one of the three there has to step aside first. */
const PINNED = `${CONTROLLER_TOML}
[[placement.vm]]
name = "wiki01"
blades = ["blade01", "blade02"]
`

before(async () => {
  await calm(lab)
  const onBlade01 = { mail01: 'blade01', db01: 'blade01', dns01: 'blade01' }
  await place(lab, { ...onBlade01, wiki01: 'blade02', web01: 'blade03', print01: 'blade03' })
  await lab.cliJson(['blade', 'set', 'blade01', '--max-vms', '3'])
  await configureController(lab, PINNED)
  await calm(lab)
})

after(async () => {
  await configureController(lab, CONTROLLER_TOML)
  await lab.cliJson(['blade', 'set', 'blade01', '--max-vms', '4'])
  if ((await blade(lab, 'blade02')).admin !== 'in-service')
    await lab.cliJson(['blade', 'uncordon', 'blade02'])
})

test('the plan shows who steps aside, for whom, and in which order', async () => {
  const plan = await lab.cliJson<Plan>(['evacuate', 'blade02', '--plan'])
  assert.deepEqual(plan.unplaced, [])
  assert.deepEqual(
    plan.moves.map(move => [move.vm, move.from, move.to, move.role]),
    [
      ['dns01', 'blade01', 'blade03', 'makes-room'],
      ['wiki01', 'blade02', 'blade01', 'leaves'],
    ],
    'dns01 is the cheapest to move',
  )
  assert.deepEqual(plan.moves[1]?.needs, [plan.moves[0]?.vmId])
  const text = (await lab.cli(['evacuate', 'blade02', '--plan'])).stdout.toString()
  assert.match(text, /dns01/)
  assert.match(text, /steps aside/)
})

test('it is carried out in that order, and no step of a guest is lost', async () => {
  const result = await lab.cli(['evacuate', 'blade02', '--output', 'json'], OPERATION_LIMIT_MS)
  assert.equal(result.code, 0, result.stderr)
  const whole = JSON.parse(result.stdout.toString()) as Operation
  const moves = await Promise.all(whole.children.map(id => operation(lab, id)))
  const [aside, leaving] = ['dns01', 'wiki01'].map(name => moves.find(each => each.vm === name))
  assert.ok(aside !== undefined && leaving !== undefined, describeOperation(whole))
  assert.deepEqual([aside.state, leaving.state], ['done', 'done'], moves.map(describeOperation).join('\n'))
  assert.ok(leaving.startedAt >= aside.endedAt, 'wiki01 waited until dns01 had arrived')
  assert.match(whole.outcome, /1 of 1 VMs moved in .*, 1 other stepped aside/)
  assert.deepEqual([(await vm(lab, 'dns01')).blade, (await vm(lab, 'wiki01')).blade], ['blade03', 'blade01'])
  await assertSound(lab)
})
