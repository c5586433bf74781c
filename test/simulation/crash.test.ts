import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createScenario, type Scenario } from './scenario.ts'

const VMS = { web01: 'blade01', web02: 'blade02' }

/** web01 is told to move to blade02, and holds still when its disks are copied. */
async function inTheMiddleOfMove(t: TestContext) {
  const scenario = await createScenario(t, { blades: 2, vms: VMS })
  const hold = scenario.fleet.blade('blade01').knobs.holdMigrations()
  const order = { name: 'web01', to: 'blade02', overrideRules: false, planOnly: false }
  const operation = await scenario.fleet.admin.ask('migrateVm', order)
  await hold.reached
  return { ...scenario, release: hold.release, id: operation.id }
}

/** The operation ends, the VM runs on the one blade it says, and nothing is left over on the other. */
async function endsOnOneBlade(scenario: Scenario, id: string): Promise<string> {
  const { fleet } = scenario
  const operation = await scenario.until('the operation has ended', async () => {
    const found = await scenario.operation(id)
    return found.endedAt > 0 && found
  })
  assert.ok(
    operation.state === 'done' || operation.state === 'undone',
    `${operation.state}: ${operation.outcome}`,
  )
  const home = operation.state === 'done' ? 'blade02' : 'blade01'
  const other = home === 'blade01' ? 'blade02' : 'blade01'
  await scenario.allRunOn({ web01: home, web02: 'blade02' })
  const web01 = scenario.idOf('web01')
  assert.equal(await fleet.blade(other).hypervisor.state(web01), 'absent')
  await scenario.until('no path of the VM is left where it is not', async () => {
    const info = (await fleet.blade(other).volumes.inspect(['/dev/vg0/web01'])).get('/dev/vg0/web01')
    return info !== undefined && 'error' in info
  })
  return operation.state
}

// Stories mostly wait, each for a fleet of its own.
describe('something dies in the middle of a move', { concurrency: 3 }, () => {
  it('the agent of the source is killed in the middle of a move', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    const agent = scenario.fleet.agent('blade01')
    await agent.kill()
    release()
    await agent.start()
    assert.equal(await endsOnOneBlade(scenario, id), 'done')
  })

  it('the agent of the target is killed in the middle of a move', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    const agent = scenario.fleet.agent('blade02')
    await agent.kill()
    release()
    await agent.start()
    await endsOnOneBlade(scenario, id)
  })

  it('the source agent is killed right after the VM has left, before it could write that down', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    const agent = scenario.fleet.agent('blade01')
    const dead = agent.killAfter('hypervisor', 'migrate')
    release()
    await dead
    assert.equal(await scenario.fleet.blade('blade01').hypervisor.state(scenario.idOf('web01')), 'stopped')
    await agent.start()
    assert.equal(await endsOnOneBlade(scenario, id), 'done')
  })

  it('the target agent is killed right after it resumed the VM', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    const agent = scenario.fleet.agent('blade02')
    const dead = agent.killAfter('hypervisor', 'resume')
    release()
    await dead
    await agent.start()
    assert.equal(await endsOnOneBlade(scenario, id), 'done')
  })

  it('the controller stops in the middle of a move: the blades go on, and it takes the move up where it stands', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    await scenario.fleet.stopController()
    release()
    const web01 = scenario.idOf('web01')
    await scenario.until('the VM has left without the controller', async () => {
      return (await scenario.fleet.blade('blade02').hypervisor.state(web01)) === 'running'
    })
    await scenario.fleet.startController()
    assert.equal(await endsOnOneBlade(scenario, id), 'done')
  })

  it('both agents and the controller die at once', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    const { fleet } = scenario
    await Promise.all([fleet.agent('blade01').kill(), fleet.agent('blade02').kill(), fleet.stopController()])
    release()
    await fleet.startController()
    await Promise.all([fleet.agent('blade01').start(), fleet.agent('blade02').start()])
    await endsOnOneBlade(scenario, id)
  })

  it('the last answer of the target is lost: the VM runs on at the source, and its paused copy is gone', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    scenario.fleet.blade('blade01').knobs.loseNextFinish()
    release()
    assert.equal(await endsOnOneBlade(scenario, id), 'undone')
  })

  it('a person aborts a move in the middle: everything is as before', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    await scenario.fleet.admin.ask('abortOperation', { id })
    assert.equal(await endsOnOneBlade(scenario, id), 'undone')
    release()
  })

  it('an abort outlives the controller', async t => {
    const { release, id, ...scenario } = await inTheMiddleOfMove(t)
    await scenario.fleet.agent('blade01').kill()
    await scenario.fleet.admin.ask('abortOperation', { id })
    await scenario.fleet.stopController()
    await scenario.fleet.startController()
    await scenario.fleet.agent('blade01').start()
    assert.equal(await endsOnOneBlade(scenario, id), 'undone')
    release()
  })
})
