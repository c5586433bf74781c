import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { createSimRunner } from '../../agent/sim/runner.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { createScaledClock } from '../fakes/scaled-clock.ts'
import { createSimWorld } from '../fakes/sim-world.ts'
import { serveSimulationControl } from './control-socket.ts'
import { createSimFleet } from './fleet.ts'
import { thirtyVms, vmIdOf } from './roster.ts'
import { playStory } from './story.ts'
import { judge } from './verdict.ts'

it('the story of npm start ends well, and its judge sees what would be wrong', async t => {
  const fleet = await createSimFleet({
    blades: 10,
    clock: createScaledClock(5),
    configure: config => ({ ...config, evacuation: { ...config.evacuation, holdMs: 6000 } }),
  })
  t.after(() => fleet.close())
  const roster = thirtyVms()
  assert.equal(roster.length, 30)
  assert.equal(roster.filter(entry => entry.blade === 'blade03').length, 4)
  const told: string[] = []
  assert.deepEqual(await playStory(fleet, roster, line => told.push(line)), [])
  assert.ok(
    told.some(line => line.includes('md0')),
    told.join('\n'),
  )

  const places = new Map<string, string>()
  for (const vm of (await fleet.admin.ask('listVms', { blade: '' })).vms) places.set(vm.id, vm.blade)
  assert.deepEqual(await judge(fleet, places), [])
  const [id, blade] = [vmIdOf(1), places.get(vmIdOf(1)) ?? '']
  await fleet.blade(blade).hypervisor.pause(id, createSimRunner(fleet.clock))
  assert.ok((await judge(fleet, places)).some(problem => problem.includes(`web01 is paused on ${blade}`)))
})

it('lifeboat sim gets an answer to each line, also to nonsense', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const path = join(world.dir, 'control.sock')
  const control = await serveSimulationControl(path, async ({ action, blade, what }) => {
    if (blade !== 'blade01') throw new LifeboatError('not-found', `no blade ${blade}`)
    return `${action} ${what}`
  })
  t.after(() => control.close())
  const socket = createConnection(path)
  t.after(() => socket.destroy())
  const answers = createInterface(socket)
  const ask = async (line: string) => {
    socket.write(`${line}\n`)
    const [answer] = await once(answers, 'line')
    return JSON.parse(String(answer)) as { ok: boolean; text: string }
  }
  assert.deepEqual(await ask('{"action":"fail","blade":"blade01","what":"psu"}'), {
    ok: true,
    text: 'fail psu',
  })
  assert.deepEqual(await ask('{"action":"fail","blade":"blade77","what":"psu"}'), {
    ok: false,
    text: 'no blade blade77',
    code: 'not-found',
  })
  assert.equal((await ask('not JSON')).ok, false)
})
