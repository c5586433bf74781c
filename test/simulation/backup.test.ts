import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createSimRunner } from '../../agent/sim/runner.ts'
import type { PointSummary } from '../../proto/gen/lifeboat/v1/vault.ts'
import { createScenario, type Scenario } from './scenario.ts'

/** Once a minute of the fleet, six seconds of ours: nights that a story can wait for. */
const EACH_MINUTE = { schedule: '* * * * *', jitterMs: 0 }
/** 29 February. */
const NEVER = { schedule: '0 0 29 2 *', jitterMs: 0 }

const pointsOf = async ({ fleet }: Scenario, vm: string): Promise<readonly PointSummary[]> =>
  (await fleet.admin.ask('listBackups', { vm: '' })).points.filter(point => point.vm === vm)

/** Begins a backup and waits for its restore point. */
async function backUp(scenario: Scenario, vm: string): Promise<PointSummary> {
  const { operations } = await scenario.fleet.admin.ask('runBackups', {
    vms: [vm],
    blade: '',
    all: false,
    force: false,
  })
  const ended = await endOf(scenario, operations[0]?.id ?? '')
  assert.equal(ended.state, 'done', ended.outcome)
  return await scenario.until(`the restore point of ${vm} is listed`, async () =>
    (await pointsOf(scenario, vm)).find(({ point }) => point === ended.point),
  )
}

/** Rejects with its outcome when it was refused, at once or at its blade. */
async function restoreToEnd(
  scenario: Scenario,
  wish: Parameters<typeof scenario.fleet.admin.ask<'restoreBackup'>>[1],
): Promise<void> {
  const { id } = await scenario.fleet.admin.ask('restoreBackup', wish)
  const ended = await endOf(scenario, id)
  if (ended.state !== 'done') throw new Error(ended.outcome)
}

/** A flipped byte, as a dying disk leaves it: in a chunk of the guest's own data. */
function spoilLargestChunk(dir: string): void {
  const chunks = readdirSync(join(dir, 'store'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.cacnk'))
    .map(name => join(dir, 'store', name))
    .sort((a, b) => statSync(b).size - statSync(a).size)
  const path = chunks[0] ?? ''
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff
  chmodSync(path, 0o644)
  writeFileSync(path, bytes)
}

async function endOf(scenario: Scenario, id: string) {
  return await scenario.until(`operation ${id} has ended`, async () => {
    const found = await scenario.operation(id)
    return found.endedAt > 0 && found
  })
}

const whole = (name: string) => ({
  backup: { vm: name, point: '' },
  to: '',
  newName: '',
  onlyDisk: '',
  start: true,
  overrideRules: false,
})

// Stories mostly wait, each for a fleet of its own.
describe('backups', { concurrency: 3 }, () => {
  it('nights go on while the controller is away; a VM whose disk is gone comes back elsewhere from the vault', async t => {
    const scenario = await createScenario(t, {
      blades: 3,
      vms: { web01: 'blade01', web02: 'blade02' },
      backup: EACH_MINUTE,
    })
    const { fleet } = scenario
    const first = await scenario.until('each VM has its first restore point', async () => {
      const counts = await Promise.all(['web01', 'web02'].map(vm => pointsOf(scenario, vm)))
      return counts.every(points => points.length > 0) && counts
    })

    await fleet.stopController()
    const seen = new Set(first.flat().map(({ vmId, point }) => `${vmId}/${point}`))
    await scenario.until(
      'the vault has a new restore point of both VMs, without the controller',
      async () => {
        const listed = await fleet.vault().points()
        const fresh = listed.filter(({ vmId, point }) => !seen.has(`${vmId}/${point}`))
        return ['web01', 'web02'].every(vm => fresh.some(point => point.vmId === scenario.idOf(vm)))
      },
    )
    await fleet.startController()
    const now = await scenario.until('the controller knows of them', async () => {
      const points = await pointsOf(scenario, 'web01')
      return points.some(({ vmId, point }) => !seen.has(`${vmId}/${point}`)) && points
    })
    for (const point of now) {
      assert.deepEqual([point.state, point.blade, point.consistency], ['whole', 'blade01', 'paused'])
    }

    // Both halves of the mirror are gone, and with them the VM; somebody has cleaned up what was left of it.
    await fleet.blade('blade01').loseVm(scenario.idOf('web01'))
    await scenario.until('every blade has reported to it', async () => {
      const { blades } = await fleet.admin.ask('listBlades', {})
      return blades.every(blade => blade.liveness === 'up')
    })
    await scenario.until('the controller has seen that the VM is gone', async () => {
      const { vms } = await fleet.admin.ask('listVms', { blade: '' })
      return !vms.some(vm => vm.name === 'web01')
    })
    const restore = await fleet.admin.ask('restoreBackup', { ...whole('web01'), to: 'blade03' })
    const ended = await endOf(scenario, restore.id)
    assert.equal(ended.state, 'done', ended.outcome)
    await scenario.allRunOn({ web01: 'blade03', web02: 'blade02' })
  })

  it('a copy beside the original is another VM, on the bytes of the moment of the snapshot', async t => {
    const scenario = await createScenario(t, {
      blades: 2,
      vms: { web01: 'blade01' },
      backup: NEVER,
    })
    const { fleet } = scenario
    const point = await backUp(scenario, 'web01')
    const operation = await fleet.admin.ask('restoreBackup', { ...whole('web01'), newName: 'web01-copy' })
    assert.equal((await endOf(scenario, operation.id)).state, 'done')
    const copy = await scenario.until('the copy runs', async () => {
      const { vms } = await fleet.admin.ask('listVms', { blade: '' })
      return vms.find(vm => vm.name === 'web01-copy' && vm.state === 'running')
    })
    assert.notEqual(copy.id, scenario.idOf('web01'))
    assert.equal(copy.volumeBytes, point.sizeBytes)
    assert.deepEqual(fleet.chassis.ledger.violations(), [])
    assert.deepEqual(fleet.chassis.ledger.executingOn(scenario.idOf('web01')), ['blade01'])
  })

  it('a restore point is known to boot: a test leaves its recovery time and nothing else', async t => {
    const scenario = await createScenario(t, {
      blades: 2,
      vms: { web01: 'blade01' },
      backup: NEVER,
    })
    const { fleet } = scenario
    await backUp(scenario, 'web01')
    const pools = await fleet.blade('blade02').volumes.pools()
    const test = await fleet.admin.ask('testBackup', { backup: { vm: 'web01', point: '' }, to: 'blade02' })
    const ended = await endOf(scenario, test.id)
    assert.equal(ended.state, 'done', ended.outcome)
    assert.ok(ended.recoveryMs > 0)
    const tested = await scenario.until('the vault remembers it', async () =>
      (await pointsOf(scenario, 'web01')).find(({ bootedAt }) => bootedAt > 0),
    )
    assert.equal(tested.recoveryMs, ended.recoveryMs)
    assert.deepEqual(await fleet.blade('blade02').hypervisor.list(), [])
    assert.deepEqual(await fleet.blade('blade02').volumes.pools(), pools, 'no volume is left')
    await scenario.allRunOn({ web01: 'blade01' })
  })

  it('the agent is killed in the middle of a backup: the VM runs, nothing half is listed, the next one works', async t => {
    const scenario = await createScenario(t, {
      blades: 2,
      vms: { web01: 'blade01' },
      backup: NEVER,
    })
    const { fleet } = scenario
    const agent = fleet.agent('blade01')
    const dead = agent.killAfter('snapshots', 'take')
    const { operations } = await fleet.admin.ask('runBackups', {
      vms: ['web01'],
      blade: '',
      all: false,
      force: false,
    })
    await dead
    await scenario.until('the VM runs although nobody lets it', async () => {
      return (await fleet.blade('blade01').hypervisor.state(scenario.idOf('web01'))) === 'running'
    })
    await agent.start()
    const ended = await endOf(scenario, operations[0]?.id ?? '')
    assert.equal(ended.state, 'undone', ended.outcome)
    assert.deepEqual(await pointsOf(scenario, 'web01'), [])
    await scenario.until('no snapshot of ours is left', async () => {
      const left = await fleet.blade('blade01').snapshots.leftovers(createSimRunner(fleet.clock))
      return left.filter(({ base }) => !base).length === 0
    })
    await backUp(scenario, 'web01')
    await scenario.allRunOn({ web01: 'blade01' })
  })

  it('the vault goes away in the middle and comes back: the backup fails cleanly, the next one works', async t => {
    const scenario = await createScenario(t, {
      blades: 2,
      vms: { web01: 'blade01' },
      backup: NEVER,
    })
    const { fleet } = scenario
    await fleet.vault().stop()
    const { operations } = await fleet.admin.ask('runBackups', {
      vms: ['web01'],
      blade: '',
      all: false,
      force: false,
    })
    const ended = await endOf(scenario, operations[0]?.id ?? '')
    assert.equal(ended.state, 'undone', ended.outcome)
    await fleet.vault().start()
    await backUp(scenario, 'web01')
    await scenario.allRunOn({ web01: 'blade01' })
  })

  it('a chunk rots: an alert names what it touches, a restore refuses before anything is made, the next backup heals', async t => {
    const scenario = await createScenario(t, {
      blades: 2,
      vms: { web01: 'blade01' },
      backup: NEVER,
    })
    const { fleet } = scenario
    const { point } = await backUp(scenario, 'web01')
    const vm = { vm: 'web01', point }
    const pools = await fleet.blade('blade02').volumes.pools()
    spoilLargestChunk(fleet.vault().dir)

    const checked = await fleet.admin.ask('checkBackup', vm)
    assert.equal(checked.state, 'damaged')
    const alert = await scenario.alert('chunk-corrupt')
    assert.ok(alert.text.includes('web01'), alert.text)
    const wish = { ...whole('web01'), backup: vm, newName: 'web01-copy', to: 'blade02' }
    await assert.rejects(restoreToEnd(scenario, wish), /damaged|not whole/)
    assert.deepEqual(await fleet.blade('blade02').volumes.pools(), pools, 'nothing was made')
    assert.deepEqual(await fleet.blade('blade02').hypervisor.list(), [])

    await backUp(scenario, 'web01')
    await scenario.until('the alert is over', async () => (await scenario.openAlerts()).length === 0)
    assert.equal((await fleet.admin.ask('checkBackup', vm)).state, 'whole', 'also the old one is whole again')
    await restoreToEnd(scenario, wish)
  })
})
