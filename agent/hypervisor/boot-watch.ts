import { chmod, mkdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { readState } from './domain-actions.ts'
import type { SignsOfLife } from './hypervisor.ts'
import { ACTION_TIMEOUT_MS, type Virsh, virshError } from './virsh-command.ts'

/** libvirt lets QEMU, under its AppArmor profile too, write to a serial file wherever the definition says. */
export const CONSOLE_DIRECTORY = '/run/lifeboat/boot-test'

/** libvirt's own limit for an agent's answer, and the process's beyond it: a guest must not hold the agent up. */
const PING_LIMIT_S = 3
const PING_PROCESS_LIMIT_MS = 8000

/** Where an isolated VM prints to. */
export function consolePath(directory: string, id: string): string {
  return join(directory, `${id}.console`)
}

/** Must be there before such a VM starts. */
export async function makeConsoleDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  // The agent's own mask shuts everybody out, and QEMU is not root.
  for (const one of [dirname(directory), directory]) await chmod(one, 0o711)
}

/** See Hypervisor.signsOfLife. */
export async function readSignsOfLife(virsh: Virsh, directory: string, id: string): Promise<SignsOfLife> {
  const state = await readState(virsh, id)
  if (state === 'absent') throw new LifeboatError('not-found', `libvirt has no VM ${id}`)
  const file = await stat(consolePath(directory, id)).catch(() => undefined)
  return { agent: state === 'running' && (await pingAgent(virsh, id)), consoleBytes: file?.size ?? 0 }
}

/** A guest without an agent, one that has not started it yet and one that hangs are all the same: no sign. */
async function pingAgent(virsh: Virsh, id: string): Promise<boolean> {
  const words = ['qemu-agent-command', id, '{"execute":"guest-ping"}', '--timeout', String(PING_LIMIT_S)]
  try {
    return (await virsh.answer(words, { timeoutMs: PING_PROCESS_LIMIT_MS })).ok
  } catch {
    return false
  }
}

/** See Hypervisor.erase. */
export async function eraseVm(
  virsh: Virsh,
  directory: string,
  id: string,
  run: CommandRunner,
): Promise<void> {
  const state = await readState(virsh, id)
  if (state !== 'absent') {
    if (state !== 'stopped' && state !== 'crashed') {
      throw new LifeboatError('refused', `VM ${id} is ${state}: only a stopped VM is erased`)
    }
    // --nvram is right for a VM without UEFI too; an isolated VM has no TPM.
    const words = ['undefine', id, '--nvram', '--checkpoints-metadata']
    const answer = await virsh.answer(words, { run, timeoutMs: ACTION_TIMEOUT_MS })
    if (!answer.ok) {
      const error = virshError(words, answer.stderr)
      if (error.code !== 'not-found') throw error
    }
  }
  await rm(consolePath(directory, id), { force: true })
}
