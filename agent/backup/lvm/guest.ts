import type { Clock } from '../../../shared/clock.ts'
import { SECOND_MS } from '../../../shared/domain/units.ts'
import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { Consistency } from '../../vault/format/manifest.ts'
import type { Console } from './console.ts'
import type { OwnPlan } from './own.ts'
import type { Release } from './timer.ts'

const ASK_LIMIT_MS = 30 * SECOND_MS
const STATE = /^(running|idle|paused|in shutdown|shut off|crashed|dying|pmsuspended|no state)$/

export type GuestState = 'running' | 'paused' | 'stopped'

/** What a word of `virsh domstate` means to snapshots. */
function guestState(word: string): GuestState {
  if (word === 'paused' || word === 'pmsuspended') return 'paused'
  return word === 'shut off' || word === 'crashed' ? 'stopped' : 'running'
}

/** libvirt's commands on one guest. `uri` as in `virsh --connect`. */
export interface GuestCommands {
  readonly uri: string
  readonly vmId: string
}

const virsh = ({ uri }: GuestCommands, ...words: string[]) => ['virsh', '--connect', uri, ...words]

export async function askState(guest: GuestCommands, virshConsole: Console): Promise<GuestState> {
  return guestState(await virshConsole.ask(['domstate', guest.vmId], STATE, ASK_LIMIT_MS))
}

/** As `askState`, by a process of its own. */
export async function readState(guest: GuestCommands, run: CommandRunner): Promise<GuestState> {
  const { stdout } = await run.run(virsh(guest, 'domstate', guest.vmId), { timeoutMs: ASK_LIMIT_MS })
  return guestState(stdout.trim())
}

/** Has the guest an agent that answers? */
export async function hasAgent(guest: GuestCommands, run: CommandRunner): Promise<boolean> {
  const ping = ['qemu-agent-command', guest.vmId, '{"execute":"guest-ping"}', '--timeout', '5']
  const limit = { timeoutMs: 10 * SECOND_MS, okExitCodes: [0, 1] }
  return (await run.run(virsh(guest, ...ping), limit)).exitCode === 0
}

/** A guest that stands still, until it is let go. */
export interface Hold {
  readonly consistency: Consistency
  /**
   * Lets it go; resolves with how long it stood still, in ms: from before the command that stopped it to after the one
   * that let it go. Errors: `timeout` when it ran already, so that the moment of the snapshots is none.
   */
  letGo(): Promise<number>
}

export interface HoldOptions {
  readonly guest: GuestCommands
  readonly console: Console
  readonly run: CommandRunner
  readonly clock: Clock
  /** What is left of the budget, in ms. */
  readonly left: () => number
  /** The timer thaws a frozen guest; one that is paused instead needs one that resumes. */
  readonly rearm: () => Promise<void>
}

const NOT_HELD = { letGo: async () => 0 }

/** Stops the guest as the plan says. Rejects with the guest running. */
export async function holdGuest(
  how: OwnPlan['hold'],
  state: GuestState,
  options: HoldOptions,
): Promise<Hold> {
  if (state === 'stopped') return { ...NOT_HELD, consistency: 'stopped' }
  if (state === 'paused') return { ...NOT_HELD, consistency: 'paused' }
  if (how === 'none') return { ...NOT_HELD, consistency: 'crash' }
  if (how === 'freeze') {
    const frozen = await freeze(options)
    if (frozen !== undefined) return frozen
    await options.rearm()
  }
  return await pause(options)
}

async function pause({ guest, console: virshConsole, run, clock, left }: HoldOptions): Promise<Hold> {
  const startedAt = clock.now()
  try {
    await virshConsole.ask(['suspend', guest.vmId], /' suspended$/, left())
  } catch (error) {
    await forceGo(guest, 'resume', run)
    throw error
  }
  return {
    consistency: 'paused',
    async letGo() {
      await virshConsole.ask(['resume', guest.vmId], /' resumed$/, ASK_LIMIT_MS).catch(async cause => {
        // "already running": the timer was quicker. Whatever it was, it must not stand.
        await forceGo(guest, 'resume', run)
        throw letGoByOthers(cause)
      })
      return clock.now() - startedAt
    },
  }
}

const letGoByOthers = (cause?: unknown) =>
  new LifeboatError('timeout', 'the guest was let go by somebody else before its time', { cause })

/**
 * Undefined when the guest's agent cannot: it is then paused. The freeze is a process of its own, since an agent that hangs
 * holds up the connection that asked it, and that connection must be free to thaw.
 */
async function freeze({
  guest,
  console: virshConsole,
  run,
  clock,
  left,
}: HoldOptions): Promise<Hold | undefined> {
  const startedAt = clock.now()
  try {
    await run.run(virsh(guest, 'domfsfreeze', guest.vmId), { timeoutMs: Math.max(1, left()) })
  } catch (error) {
    await forceGo(guest, 'domfsthaw', run)
    if (errorCode(error) !== 'command-failed') throw error
    return undefined
  }
  return {
    consistency: 'application',
    async letGo() {
      const line = await virshConsole
        .ask(['domfsthaw', guest.vmId], /^Thawed \d+ filesystem/, ASK_LIMIT_MS)
        .catch(() => forceGo(guest, 'domfsthaw', run))
      if (line?.startsWith('Thawed 0 ')) throw letGoByOthers()
      return clock.now() - startedAt
    },
  }
}

/** By a process of its own, when the way that was ready has failed. A guest that runs already is what was wanted. */
export async function forceGo(guest: GuestCommands, how: Release, run: CommandRunner): Promise<void> {
  await run.run(virsh(guest, how, guest.vmId), { timeoutMs: ASK_LIMIT_MS, okExitCodes: [0, 1] })
}
