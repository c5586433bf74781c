import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLab } from '../../lab.ts'
import { backUp, beginBackups, ownSnapshots, points } from '../support/backups.ts'
import { bundleForBlades, NODE_ON_BLADES } from '../support/bundle.ts'
import { assertSound, calm, describeOperation, ended, place, vm } from '../support/fleet.ts'
import { beginWitness, endWitness, longestSilence, ordinarySilence } from '../support/witness.ts'

const lab = openLab()
const BLADE = 'blade02'
const GUEST = 'wiki01'
/** Every entry of the journal: the end of a step and the beginning of the next are written in one go. */
const MOMENTS = [
  { step: 'check', event: 'step-started' },
  { step: 'snapshot', event: 'step-started' },
  { step: 'send', event: 'step-started' },
  { step: 'drop-snapshot', event: 'step-started' },
  { step: 'drop-snapshot', event: 'step-done' },
] as const
type Moment = (typeof MOMENTS)[number]
/** Longer than both ends need to take each other for gone. */
const CUT_MS = 20_000
const READY = '/run/lab-journal.ready'
/** Rule 2, as configured. */
const PAUSE_BUDGET_MS = 5_000
/** When something is cut in a backup: its times are left out of what counts as ordinary. */
const disturbed: { fromMs: number; toMs: number }[] = []

before(async () => {
  await calm(lab)
  await place(lab, { [GUEST]: BLADE })
  await bundleForBlades(['journal'])
  await backUp(lab, GUEST)
  await beginWitness(lab, BLADE, GUEST)
})

after(async () => {
  await lab.heal('depot', 'network')
})

/**
 * Begins a backup and returns when the journal holds that event. With `kill` the process is killed on the blade in the
 * same moment.
 */
async function runTo({ step, event }: Moment, kill: string): Promise<string> {
  const argv = [NODE_ON_BLADES, '/run/lab-share/on-blade-journal.mjs', READY, step, event, kill]
  await lab.mustExec(BLADE, ['rm', '-f', READY])
  const watching = lab.exec(BLADE, argv, { timeoutMs: 150_000 })
  await lab.waitFor(
    'the watcher of the journal',
    async () => (await lab.exec(BLADE, ['test', '-e', READY])).code === 0,
    30_000,
  )
  const [begun] = await beginBackups(lab, GUEST)
  assert.ok(begun !== undefined)
  const { code, stdout, stderr } = await watching
  assert.equal(code, 0, `${stdout}${stderr}`)
  return begun.id
}

/** Whatever was cut: the guest runs, the operation has an end, nothing is left, nothing half is listed. */
async function assertClean(operation: string, what: string): Promise<void> {
  await lab.waitFor(
    `${GUEST} to run after ${what}`,
    async () => (await lab.mustExec(BLADE, ['virsh', 'domstate', GUEST])).trim() === 'running',
    30_000,
  )
  const found = await ended(lab, operation)
  assert.ok(found.state === 'done' || found.state === 'undone', describeOperation(found))
  await lab.waitFor(
    `no snapshot to be left after ${what}`,
    async () => (await ownSnapshots(lab, BLADE)).length === 0,
    90_000,
  )
  // The controller looks at a vault that was away again within seconds.
  await lab.waitFor(
    `restore point ${found.point} to be listed only if ${found.id} is done`,
    async () => {
      const listed = await points(lab, GUEST)
      for (const each of listed) assert.equal(each.state, 'whole', `${each.point}: ${each.stateText}`)
      return listed.some(each => each.point === found.point) === (found.state === 'done')
    },
    90_000,
  )
  console.log(`${what}: ${found.state}`)
}

async function pidOf(host: string, unit: string): Promise<string> {
  return (await lab.mustExec(host, ['systemctl', 'show', '--value', '-p', 'MainPID', unit])).trim()
}

async function disturb(what: string, act: () => Promise<string>): Promise<void> {
  const fromMs = Date.now()
  const operation = await act()
  await assertClean(operation, what)
  disturbed.push({ fromMs: fromMs - 2000, toMs: Date.now() + 2000 })
}

for (const moment of MOMENTS) {
  const when = `${moment.event} of ${moment.step}`

  test(`the agent is killed at ${when}`, async () => {
    const pid = await pidOf(BLADE, 'lifeboat-agent')
    await disturb(`agent killed at ${when}`, () => runTo(moment, pid))
  })

  test(`the vault is killed at ${when}`, async () => {
    await disturb(`vault killed at ${when}`, async () => {
      const operation = await runTo(moment, '')
      await lab.mustExec('depot', ['systemctl', 'kill', '--kill-whom=main', '-s', 'KILL', 'lifeboat-vault'])
      return operation
    })
  })

  test(`the network is cut at ${when}`, async () => {
    await disturb(`network cut at ${when}`, async () => {
      const operation = await runTo(moment, '')
      await lab.fail('depot', 'network')
      await sleep(CUT_MS)
      await lab.heal('depot', 'network')
      return operation
    })
  })

  test(`after all that was cut at ${when} the next backup works`, async () => {
    await lab.waitFor('the vault', vaultReachable, 90_000)
    await backUp(lab, GUEST)
    assert.deepEqual(await ownSnapshots(lab, BLADE), [])
  })
}

async function vaultReachable(): Promise<boolean> {
  const all = await lab.cliJson<{ reachable: boolean }[]>(['vault', 'list'])
  return all.every(each => each.reachable)
}

test('in all of this the guest never stood still for longer than its budget, and lost no step', async () => {
  const witness = await endWitness(lab, BLADE, GUEST)
  const ordinary = ordinarySilence(witness, disturbed)
  const longest = Math.max(...disturbed.map(({ fromMs, toMs }) => longestSilence(witness, fromMs, toMs)))
  console.log(`longest silence ${longest} ms, otherwise at most ${ordinary} ms`)
  assert.ok(longest <= PAUSE_BUDGET_MS + ordinary, `${GUEST} was silent for ${longest} ms`)
  assert.equal((await vm(lab, GUEST)).state, 'running')
  await assertSound(lab)
})
