import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Plan } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { makeCluster } from '../../../bench/placement-clusters.ts'
import { toGanetiText } from '../../../bench/placement-ganeti.ts'
import { ROOT } from '../../../rules/source-files.ts'
import { runCli } from './fake-context.ts'

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-simulate-'))
after(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const CLUSTER = toGanetiText(makeCluster({ blades: 5, utilisation: 0.7 }, 1))
const FULL = {
  format: 'lifeboat-fleet-1',
  blades: [
    { name: 'blade01', memoryGib: 20 },
    { name: 'blade02', memoryGib: 20 },
  ],
  vms: [
    { name: 'web01', blade: 'blade01', memoryGib: 12 },
    { name: 'web02', blade: 'blade02', memoryGib: 12 },
  ],
  events: [{ atSeconds: 1, what: 'mirror-degraded', blade: 'blade01' }],
}

test('--evacuate prints the plan in the form of evacuate --plan, asks no controller, and ends with 0', async () => {
  const path = file('cluster', CLUSTER)
  const argv = ['simulate', path, '--format', 'ganeti', '--evacuate', 'blade00001']
  const json = await runCli([...argv, '-o', 'json'], {})
  const plan = JSON.parse(json.printed.join('\n')) as Plan
  assert.deepEqual([json.exitCode, json.asked, plan.unplaced], [0, [], []])
  // Nothing is lost on the wire and nothing added: it is what a controller's answer would be.
  const received = Plan.decode(Plan.encode(plan).finish())
  assert.deepEqual(JSON.parse(JSON.stringify(received)), plan)
  const text = await runCli(argv, {})
  const asked = await runCli(['evacuate', 'blade00001', '--plan'], { planEvacuation: plan })
  assert.deepEqual(text.printed, asked.printed)
})

test('several blades are emptied together: none takes what another gives', async () => {
  const path = file('cluster', CLUSTER)
  const blades = ['--evacuate', 'blade00001', '--evacuate', 'blade00002']
  const run = await runCli(['simulate', path, '--format', 'ganeti', ...blades, '-o', 'json'], {})
  const plan = JSON.parse(run.printed.join('\n')) as Plan
  assert.deepEqual(new Set(plan.moves.filter(move => move.role === 'leaves').map(move => move.from)).size, 2)
  assert.ok(plan.moves.every(move => !['blade00001', 'blade00002'].includes(move.to)))
})

test('--max-vms is a limit, and is for Ganeti only', async () => {
  const path = file('cluster', CLUSTER)
  const argv = ['simulate', path, '--format', 'ganeti', '--evacuate', 'blade00001', '--max-vms']
  const run = await runCli([...argv, '1', '-o', 'json'], {})
  const plan = JSON.parse(run.printed.join('\n')) as Plan
  assert.equal(run.exitCode, 2)
  assert.ok(plan.unplaced.some(vm => vm.reasons.some(reason => reason.code === 'vm-limit')))
  const fleet = file('full.json', JSON.stringify(FULL))
  await assert.rejects(runCli(['simulate', fleet, '--max-vms', '3'], {}), { code: 'bad-input' })
})

test('a timeline in which a VM finds no place ends with 2, and says what would help', async () => {
  const run = await runCli(['simulate', file('full.json', JSON.stringify(FULL))], {})
  assert.equal(run.exitCode, 2)
  const text = run.printed.join('\n')
  assert.match(text, /0:01:01 {2}plan p1: blade01 is emptied/)
  assert.match(text, /web01 needs 12 GiB of memory, blade02 has 4 GiB/)
  assert.match(text, /what would help: /)
})

test('a rule that the fleet breaks from the start is told when its hold is over, though nothing else happens', async () => {
  const rule = { name: 'mail', kind: 'apart', vms: ['mx1', 'mx2'] }
  const fleet = {
    format: 'lifeboat-fleet-1',
    config: { placement: { rule: [rule] } },
    blades: FULL.blades,
    vms: ['mx1', 'mx2'].map(name => ({ name, blade: 'blade01', memoryGib: 4 })),
  }
  const run = await runCli(['simulate', file('unkept.json', JSON.stringify(fleet))], {})
  assert.match(run.printed.join('\n'), /0:10:00 {2}case c1 opened: rule-not-kept .*rule 'mail'/)
})

test('what is not there is told with what it is', async () => {
  const fleet = file('full.json', JSON.stringify(FULL))
  await assert.rejects(runCli(['simulate', fleet, '--evacuate', 'blade09'], {}), {
    code: 'not-found',
    message: 'there is no blade blade09 in the file, only blade01, blade02',
  })
  await assert.rejects(runCli(['simulate', join(folder, 'none')], {}), { code: 'bad-input' })
})

test('the program itself reads standard input, and puts what is wrong on standard error with code 2', async () => {
  const main = join(ROOT, 'controller/cli/main.ts')
  const [code, out, err] = await new Promise<[number | string | null | undefined, string, string]>(
    resolve => {
      const child = execFile(
        process.execPath,
        [main, 'simulate', '-', '-o', 'json'],
        (error, stdout, stderr) => resolve([error?.code, stdout, stderr]),
      )
      child.stdin?.end('{"format":"lifeboat-fleet-1","blades":[],"vms":7}')
    },
  )
  assert.equal(code, 2)
  assert.equal(out, '')
  const { error } = JSON.parse(err) as { error: { code: string; details: string[] } }
  assert.equal(error.code, 'bad-input')
  assert.deepEqual(
    error.details.map(line => line.split(':')[0]),
    ['blades', 'vms'],
  )
})
