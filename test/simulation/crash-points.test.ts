import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { createScenario, type Scenario } from './scenario.ts'
import type { Seam } from './sim-agent.ts'

type End = 'source' | 'target'

/** Every call of a live move that changes something on a blade, in the order of the move. */
const LIVE: readonly [End, Seam, string][] = [
  ['target', 'volumes', 'create'],
  ['source', 'hypervisor', 'setAutostart'],
  ['target', 'hypervisor', 'destroyIncoming'],
  ['source', 'hypervisor', 'migrate'],
  ['target', 'hypervisor', 'resume'],
  ['target', 'volumes', 'adopt'],
  ['target', 'hypervisor', 'setAutostart'],
  ['source', 'volumes', 'keep'],
  ['source', 'hypervisor', 'undefine'],
]

const COLD: readonly [End, Seam, string][] = [
  ['target', 'volumes', 'create'],
  ['target', 'volumes', 'write'],
  ['target', 'hypervisor', 'define'],
  ['target', 'volumes', 'adopt'],
  ['source', 'volumes', 'keep'],
  ['source', 'hypervisor', 'undefine'],
]

/** What an agent logs along a move: the places at which the controller is stopped. */
const MILESTONES = [
  /prepare-incoming accepted/,
  /prepare-incoming running => done/,
  /send-live accepted/,
  /running => leaving/,
  /leaving => left/,
  /arriving => running/,
  /confirm-incoming running => done/,
  /release-source accepted/,
  /release-source running => done/,
] as const

const OTHER = { blade01: 'blade02', blade02: 'blade01' } as const
type Blade = keyof typeof OTHER

async function fleetWithVm(t: TestContext): Promise<Scenario> {
  return await createScenario(t, { blades: 2, vms: { web01: 'blade01' } })
}

/** Where the hypervisors have the VM; must be one blade. */
async function homeOf(scenario: Scenario): Promise<Blade> {
  const id = scenario.idOf('web01')
  const blades = Object.keys(OTHER) as Blade[]
  const states = await Promise.all(blades.map(name => scenario.fleet.blade(name).hypervisor.state(id)))
  const homes = blades.filter((_, index) => states[index] !== 'absent')
  assert.equal(homes.length, 1, `web01 is ${states.join(' and ')}`)
  return homes[0] ?? 'blade01'
}

/**
 * Orders the VM to the other blade, lets `disturb` do its worst, and checks what must hold after each end: the
 * operation says where the VM is, the hypervisors agree, and no step of the guest was lost or doubled.
 */
async function moveUnder(
  scenario: Scenario,
  state: 'running' | 'stopped',
  disturb: (source: Blade, target: Blade) => Promise<void>,
): Promise<Operation> {
  const { fleet } = scenario
  const source = await homeOf(scenario)
  const target = OTHER[source]
  const disturbed = disturb(source, target)
  const order = { name: 'web01', to: target, overrideRules: false, planOnly: false }
  const { id } = await fleet.admin.ask('migrateVm', order)
  await disturbed
  const operation = await scenario.until(`${id} has ended`, async () => {
    const found = await scenario.operation(id).catch(() => undefined)
    return found !== undefined && found.endedAt > 0 && found
  })
  assert.ok(
    operation.state === 'done' || operation.state === 'undone',
    `${operation.state}: ${operation.outcome}`,
  )
  const home = await homeOf(scenario)
  assert.equal(home, operation.state === 'done' ? target : source, operation.outcome)
  assert.equal(await fleet.blade(home).hypervisor.state(scenario.idOf('web01')), state)
  assert.deepEqual(fleet.chassis.ledger.violations(), [])
  await scenario.until('Lifeboat says the same', async () => {
    const { vms } = await fleet.admin.ask('listVms', { blade: '' })
    return vms.length === 1 && vms[0]?.blade === home && vms[0].state === state
  })
  await fleet.settled()
  return operation
}

/** One move for each point; the agent dies right behind the effect of that call, and is started again. */
async function dieAtEach(
  scenario: Scenario,
  points: readonly [End, Seam, string][],
  state: 'running' | 'stopped',
): Promise<void> {
  for (const [end, seam, method] of points) {
    const operation = await moveUnder(scenario, state, async (source, target) => {
      const agent = scenario.fleet.agent(end === 'source' ? source : target)
      await agent.killAfter(seam, method)
      await agent.start()
    })
    assert.ok(operation.endedAt > 0, `${end} ${seam}.${method}`)
  }
}

// Stories mostly wait, each for a fleet of its own.
describe('something dies behind each effect of a move', { concurrency: 3 }, () => {
  it('an agent dies behind each effect of a live move', { timeout: 120_000 }, async t => {
    await dieAtEach(await fleetWithVm(t), LIVE, 'running')
  })

  it('an agent dies behind each effect of a cold move', { timeout: 120_000 }, async t => {
    const scenario = await fleetWithVm(t)
    const stop = await scenario.fleet.admin.ask('changeVm', { name: 'web01', action: 'stop', force: false })
    await scenario.until('web01 is stopped', async () => (await scenario.operation(stop.id)).state === 'done')
    await scenario.until('Lifeboat sees it stopped', async () => {
      return (await scenario.fleet.admin.ask('getVm', { name: 'web01' })).state === 'stopped'
    })
    await dieAtEach(scenario, COLD, 'stopped')
  })

  it('the controller stops at each milestone of a live move', { timeout: 120_000 }, async t => {
    const scenario = await fleetWithVm(t)
    for (const milestone of MILESTONES) {
      const seenBefore = scenario.lines.length
      const operation = await moveUnder(scenario, 'running', async () => {
        await scenario.until(`an agent logs ${milestone}`, async () =>
          scenario.lines.slice(seenBefore).some(line => milestone.test(line)),
        )
        await scenario.fleet.stopController()
        await scenario.fleet.startController()
      })
      assert.equal(operation.state, 'done', `stopped at ${milestone}: ${operation.outcome}`)
    }
  })
})
