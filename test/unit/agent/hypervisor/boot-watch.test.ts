import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  consolePath,
  eraseVm,
  makeConsoleDirectory,
  readSignsOfLife,
} from '../../../../agent/hypervisor/boot-watch.ts'
import { createVirsh } from '../../../../agent/hypervisor/virsh-command.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { createScriptedRunner, type ScriptedCommand } from '../../../fakes/scripted-runner.ts'

const ID = '11111111-2222-4333-8444-000000000001'
const directory = mkdtempSync(join(tmpdir(), 'lb-console-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const virsh = (...words: string[]) => ['virsh', '--connect', 'test:///', ...words]
const stateIs = (state: number): ScriptedCommand => ({
  argv: virsh('domstats', '--raw', '--nowait', '--state', ID),
  stdout: `Domain: 'x'\n  state.state=${state}\n  state.reason=1\n\n`,
})
const gone: ScriptedCommand = {
  argv: virsh('domstats', '--raw', '--nowait', '--state', ID),
  exitCode: 1,
  stderr: `error: failed to get domain '${ID}'\n`,
}
const ping = (rest: Partial<ScriptedCommand>): ScriptedCommand => ({
  argv: virsh('qemu-agent-command', ID, '{"execute":"guest-ping"}', '--timeout', '3'),
  ...rest,
})
const world = (...script: ScriptedCommand[]) => {
  const run = createScriptedRunner(script)
  return { run, virsh: createVirsh(run, 'test:///') }
}

test('an agent that answers and a console that was written to are signs', async () => {
  writeFileSync(consolePath(directory, ID), 'hello')
  const { virsh: asked } = world(stateIs(1), ping({ stdout: '{"return":{}}' }))
  assert.deepEqual(await readSignsOfLife(asked, directory, ID), { agent: true, consoleBytes: 5 })
})

test('a guest without an agent, one that hangs, and a libvirt that is lost for a moment are no sign, and no error', async () => {
  for (const trouble of [
    { exitCode: 1, stderr: 'error: argument unsupported: QEMU guest agent is not configured\n' },
    { error: new LifeboatError('timeout', 'virsh took too long') },
    { exitCode: 1, stderr: 'error: failed to connect to the hypervisor\n' },
  ]) {
    const { virsh: asked } = world(stateIs(1), ping(trouble))
    assert.equal((await readSignsOfLife(asked, directory, ID)).agent, false)
  }
})

test('the agent of a VM that does not run is not asked', async () => {
  const { run, virsh: asked } = world(stateIs(5))
  assert.equal((await readSignsOfLife(asked, directory, ID)).agent, false)
  assert.equal(run.callsOf('virsh', '--connect', 'test:///', 'qemu-agent-command').length, 0)
})

test('erasing takes the definition with its UEFI variables, and the console; a running VM is refused', async () => {
  writeFileSync(consolePath(directory, ID), 'hello')
  const running = world(stateIs(1))
  await assert.rejects(eraseVm(running.virsh, directory, ID, running.run), { code: 'refused' })
  assert.ok(existsSync(consolePath(directory, ID)))
  const stopped = world(stateIs(5), { argv: virsh('undefine', ID, '--nvram', '--checkpoints-metadata') })
  await eraseVm(stopped.virsh, directory, ID, stopped.run)
  assert.equal(existsSync(consolePath(directory, ID)), false)
  const absent = world(gone)
  await eraseVm(absent.virsh, directory, ID, absent.run)
})

test('QEMU, which is not root, may reach its console', async () => {
  const path = join(directory, 'lifeboat', 'boot-test')
  await makeConsoleDirectory(path)
  await makeConsoleDirectory(path)
  assert.equal(statSync(path).mode & 0o777, 0o711)
})
