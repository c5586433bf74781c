import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planEvacuation } from '../../../../controller/placement/make-plan.ts'
import type { Relief } from '../../../../controller/placement/plan.ts'
import { moreVmsText } from '../../../../controller/placement/relief-words.ts'
import { Blade } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { type FleetSketch, fleet, NIGHT } from '../../../fakes/fleet-builder.ts'
import { runCli } from '../cli/fake-context.ts'

const VMS = [{ name: 'web01', blade: 'blade01' }]

function reliefs(sketch: FleetSketch): Relief[] {
  const request = { bladeName: 'blade01', cause: '', id: '', now: NIGHT }
  return [...planEvacuation(fleet(sketch), request).relief]
}

/** What the text tells to type, without the name of the program. */
function commandOf(text: string): string[] {
  const [, command = ''] = /`lifeboat ([^`]+)`/.exec(text) ?? []
  return command.split(' ')
}

test('a blade that was cordoned is named with the command that brings it back, and that is one', async () => {
  const spare = { admin: 'cordoned' as const, maxVms: 4 }
  const [relief] = reliefs({ blades: [{ name: 'blade01' }, { name: 'blade02', ...spare }], vms: VMS })
  assert.equal(relief?.text, 'put blade02 back into service: `lifeboat blade uncordon blade02`')
  const { asked } = await runCli(commandOf(relief?.text ?? ''), { setBladeAdmin: {} })
  assert.deepEqual(asked[0]?.request, { name: 'blade02', admin: 'in-service', reason: '' })
  const several = reliefs({
    blades: [{ name: 'blade01' }, { name: 'blade02', ...spare }, { name: 'blade03', ...spare }],
    vms: VMS,
  })
  assert.equal(
    several[0]?.text,
    'put any of blade02, blade03 back into service: `lifeboat blade uncordon blade02`',
  )
})

test('a VM limit is named with the command that raises it, and that is one', async () => {
  const found = reliefs({
    blades: [{ name: 'blade01' }, { name: 'blade02', maxVms: 1 }],
    vms: [...VMS, { name: 'db01', blade: 'blade02' }],
  })
  const text = found.find(relief => relief.kind === 'vm-limit')?.text ?? ''
  assert.equal(text, 'a VM limit higher by one on blade02: `lifeboat blade set blade02 --max-vms 2`')
  const { asked } = await runCli(commandOf(text), { setBlade: Blade.fromPartial({}) })
  assert.ok(asked[0] !== undefined)
  const { name, maxVms } = asked[0].request as { name: string; maxVms: number }
  assert.deepEqual([name, maxVms], ['blade02', 2])
})

test('where every blade needs more, the command is for each of them', () => {
  assert.equal(
    moreVmsText(1, [4]),
    'a VM limit of 5 instead of 4 on every blade: `lifeboat blade set BLADE --max-vms 5`',
  )
  assert.equal(
    moreVmsText(2, [4, 6]),
    'a VM limit higher by 2 on every blade: `lifeboat blade set BLADE --max-vms N`',
  )
})
