import type { Clock } from '../../../shared/clock.ts'
import { SECOND_MS } from '../../../shared/domain/units.ts'
import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { Consistency } from '../../vault/format/manifest.ts'
import type { Console } from './console.ts'
import type { OwnPlan } from './own.ts'

const ASK_LIMIT_MS = 30 * SECOND_MS
/** virsh ends with 1 for whatever it could not do. */
const ENSURE = { timeoutMs: ASK_LIMIT_MS, okExitCodes: [0, 1] }
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

/**
 * Has the guest an agent that answers, can freeze, and has not done so for somebody else? One that does not know the
 * question could not thaw either.
 */
export async function canFreeze(guest: GuestCommands, run: CommandRunner): Promise<boolean> {
  const ask = ['qemu-agent-command', guest.vmId, '{"execute":"guest-fsfreeze-status"}', '--timeout', '5']
  const limit = { timeoutMs: 10 * SECOND_MS, okExitCodes: [0, 1] }
  const { exitCode, stdout } = await run.run(virsh(guest, ...ask), limit)
  return exitCode === 0 && stdout.includes('"thawed"')
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
  /** What is left of the budget, in ms; negative when it has run out. */
  readonly left: () => number
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
    // The timer, armed before the freeze, must still be to strike.
    if (options.left() <= 0)
      throw new LifeboatError('timeout', 'the freeze failed only when the time was over')
  }
  return await pause(options)
}

async function pause({ guest, console: virshConsole, run, clock, left }: HoldOptions): Promise<Hold> {
  const startedAt = clock.now()
  try {
    await virshConsole.ask(['suspend', guest.vmId], /' suspended$/, Math.max(1, left()))
  } catch (error) {
    await ensureResumed(guest, run)
    throw error
  }
  return {
    consistency: 'paused',
    async letGo() {
      await virshConsole.ask(['resume', guest.vmId], /' resumed$/, ASK_LIMIT_MS).catch(async cause => {
        // "already running": the timer was quicker. Whatever it was, it must not stand.
        await ensureResumed(guest, run)
        throw letGoByOthers(cause)
      })
      return clock.now() - startedAt
    },
  }
}

const letGoByOthers = (cause?: unknown) =>
  new LifeboatError('timeout', 'the guest was let go by somebody else before its time', { cause })

/**
 * Undefined when the guest's agent refused: it is then paused. The freeze is a process of its own, since an agent that
 * hangs holds up the connection that asked it, and that connection must be free to thaw.
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
    await ensureThawed(guest, run)
    if (errorCode(error) !== 'command-failed') throw error
    return undefined
  }
  return {
    consistency: 'application',
    async letGo() {
      const thawed = await virshConsole
        .ask(['domfsthaw', guest.vmId], /^Thawed \d+ filesystem/, ASK_LIMIT_MS)
        .then(countThawed, () => ensureThawed(guest, run))
      if (thawed === 0) throw letGoByOthers()
      return clock.now() - startedAt
    },
  }
}

const countThawed = (line: string) => Number(/^Thawed (\d+) /.exec(line)?.[1] ?? 0)

/**
 * Resumes by a process of its own, when the way that was ready has failed or nobody knows. virsh ends with 1 for a guest
 * that runs and for a libvirt that is away: only the first is what was wanted. Errors: `command-failed` when the guest
 * still stands, and those of a libvirt that cannot be asked.
 */
export async function ensureResumed(guest: GuestCommands, run: CommandRunner): Promise<void> {
  const { exitCode, stderr } = await run.run(virsh(guest, 'resume', guest.vmId), ENSURE)
  if (exitCode === 0 || !(await isListed(guest, ['--state-paused'], run))) return
  throw new LifeboatError(
    'command-failed',
    `the guest still stands: it could not be resumed${because(stderr)}`,
  )
}

/**
 * As `ensureResumed`, for a guest that may be frozen; resolves with how many file systems were. Errors: `command-failed`
 * when its agent did not answer: nobody else could tell whether it is still frozen.
 */
export async function ensureThawed(guest: GuestCommands, run: CommandRunner): Promise<number> {
  const { exitCode, stdout, stderr } = await run.run(virsh(guest, 'domfsthaw', guest.vmId), ENSURE)
  if (exitCode === 0) return countThawed(stdout)
  // A VM that is off, or not here any more, writes nothing.
  if (!(await isListed(guest, [], run))) return 0
  throw new LifeboatError(
    'command-failed',
    `the guest may still be frozen: it could not be thawed${because(stderr)}`,
  )
}

/** Unlike `domstate` the list tells a VM that is gone from a libvirt that is. */
async function isListed(
  guest: GuestCommands,
  which: readonly string[],
  run: CommandRunner,
): Promise<boolean> {
  const { stdout } = await run.run(virsh(guest, 'list', '--uuid', ...which), { timeoutMs: ASK_LIMIT_MS })
  return stdout.split('\n').some(line => line.trim() === guest.vmId)
}

function because(stderr: string): string {
  const line = stderr.trim().split('\n').at(-1) ?? ''
  return line === '' ? '' : ` (${line.replace(/^error: /, '')})`
}
