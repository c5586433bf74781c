import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import type { VmState } from '../../shared/domain/fleet.ts'
import { formatDuration, SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { readDomainState } from './domain-standing.ts'
import { parseDomain } from './domain-xml.ts'
import { ACTION_TIMEOUT_MS, type Virsh, virshError } from './virsh-command.ts'
import { isEnding, toVmState } from './virsh-text.ts'

const SHUTDOWN_POLL_MS = SECOND_MS
/** libvirt itself gives a QEMU 10 s before it kills it, and 5 s after (virProcessKillPainfully). */
const ENDING_LIMIT_MS = 20 * SECOND_MS
const ENDING_POLL_MS = SECOND_MS / 4

/** 'absent' when libvirt has no such VM. */
export async function readState(virsh: Virsh, id: string): Promise<VmState | 'absent'> {
  const state = await readDomainState(virsh, id)
  return state === 'absent' ? 'absent' : toVmState(state)
}

/** The state; throws `not-found` for an unknown VM. */
async function requireState(virsh: Virsh, id: string): Promise<VmState> {
  const state = await readState(virsh, id)
  if (state === 'absent') throw new LifeboatError('not-found', `libvirt has no VM ${id}`)
  return state
}

/**
 * Runs a command that is to lead to a state. libvirt refuses to repeat what is done already ("domain is already
 * running"): then the state, not the exit code, is the answer. Asked afterwards, so that nothing lies in between.
 */
export async function actToState(
  virsh: Virsh,
  id: string,
  words: readonly string[],
  wanted: VmState,
  run: CommandRunner,
): Promise<void> {
  const answer = await virsh.answer([...words, id], { run, timeoutMs: ACTION_TIMEOUT_MS, mayRepeat: true })
  if (answer.ok) return
  if ((await requireState(virsh, id)) !== wanted) throw virshError(words, answer.stderr)
}

/** See Hypervisor.stop. A VM that has no persistent definition is gone once it is off: that is stopped, too. */
export async function stopVm(
  context: { readonly virsh: Virsh; readonly clock: Clock },
  id: string,
  options: { readonly force: boolean; readonly timeoutMs: number; readonly run: CommandRunner },
): Promise<void> {
  const { virsh, clock } = context
  const isOff = (state: VmState | 'absent') =>
    state === 'stopped' || state === 'crashed' || state === 'absent'
  const startedAt = clock.now()
  if (isOff(await requireState(virsh, id))) return
  const words = [options.force ? 'destroy' : 'shutdown', id]
  const answer = await virsh.answer(words, { run: options.run, timeoutMs: ACTION_TIMEOUT_MS })
  if (!answer.ok && !isOff(await readState(virsh, id))) throw virshError(words, answer.stderr)
  while (!isOff(await readState(virsh, id))) {
    if (clock.now() - startedAt >= options.timeoutMs) {
      throw new LifeboatError(
        'timeout',
        `VM ${id} did not shut down within ${formatDuration(options.timeoutMs)}; ${options.force ? 'QEMU does not end' : 'the guest ignores it: stop it with force'}`,
      )
    }
    await clock.sleep(SHUTDOWN_POLL_MS)
  }
}

/** See Hypervisor.define. */
export async function defineVm(
  virsh: Virsh,
  directory: string,
  definition: string,
  run: CommandRunner,
): Promise<void> {
  const { id } = parseDomain(definition)
  // virsh reads a path only, and a pipe of Node is a socket, which cannot be opened as /dev/stdin.
  const path = join(directory, `define-${id}.xml`)
  await mkdir(directory, { recursive: true })
  try {
    await rm(path, { force: true })
    // Passwords of consoles stand in it: nobody else may read it, and 'wx' follows no link somebody left there.
    await writeFile(path, definition, { mode: 0o600, flag: 'wx' })
    await virsh.text(['define', path], { run, timeoutMs: ACTION_TIMEOUT_MS })
  } finally {
    await rm(path, { force: true })
  }
}

/** See Hypervisor.undefine. */
export async function undefineVm(virsh: Virsh, id: string, run: CommandRunner): Promise<void> {
  const state = await readState(virsh, id)
  if (state === 'absent') return
  // libvirt would make a running VM transient instead, and forget it the moment it stops.
  if (state !== 'stopped' && state !== 'crashed') {
    throw new LifeboatError('refused', `VM ${id} is ${state}: only a stopped VM is undefined`)
  }
  await dropDefinition(virsh, id, run)
}

/**
 * See Hypervisor.destroyIncoming. The libvirt of the target ends a VM whose migration broke by itself, and until QEMU
 * is gone it is `in shutdown` like a guest that switches itself off: neither is to be judged before it is over.
 */
export async function destroyIncomingVm(
  { virsh, clock }: { readonly virsh: Virsh; readonly clock: Clock },
  id: string,
  run: CommandRunner,
): Promise<void> {
  const state = await stateOnceEnded(virsh, id, clock)
  if (state === 'absent') return
  if (state === 'running') {
    throw new LifeboatError('refused', `VM ${id} runs here: it is no remains of a migration`)
  }
  if (state !== 'stopped' && state !== 'crashed') {
    const answer = await virsh.answer(['destroy', id], { run, timeoutMs: ACTION_TIMEOUT_MS })
    const after = await readState(virsh, id)
    // Before its last phase an incoming VM has no persistent definition yet: it is gone now.
    if (after === 'absent') return
    if (!answer.ok && after !== 'stopped') throw virshError(['destroy'], answer.stderr)
  }
  await dropDefinition(virsh, id, run)
}

/** The state, but not one of a QEMU that is just ending; one that does not end is called running, as it may be. */
async function stateOnceEnded(virsh: Virsh, id: string, clock: Clock): Promise<VmState | 'absent'> {
  const startedAt = clock.now()
  for (;;) {
    const state = await readDomainState(virsh, id)
    if (state === 'absent') return state
    if (!isEnding(state) || clock.now() - startedAt >= ENDING_LIMIT_MS) return toVmState(state)
    await clock.sleep(ENDING_POLL_MS)
  }
}

/** Keeps what a person might still want: the UEFI variables and the TPM state beside the (kept) volumes. */
async function dropDefinition(virsh: Virsh, id: string, run: CommandRunner): Promise<void> {
  const words = ['undefine', id, '--keep-nvram', '--keep-tpm', '--checkpoints-metadata']
  const answer = await virsh.answer(words, { run, timeoutMs: ACTION_TIMEOUT_MS })
  if (answer.ok) return
  const error = virshError(words, answer.stderr)
  if (error.code !== 'not-found') throw error
}
