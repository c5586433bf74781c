import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { VirshSession } from './virsh-session.ts'

/** One line between the answers of a batch; no command we send prints it by itself. */
const SECTION_MARK = 'lifeboat-section'
/** A first call may start libvirtd and let it probe QEMU: 14 s were measured on a slow blade. */
const QUERY_TIMEOUT_MS = 30_000
/** Starting QEMU waits for storage and, with huge pages, for memory. */
export const ACTION_TIMEOUT_MS = 120_000

const CONNECTION_LOST =
  /failed to connect to the hypervisor|failed to reconnect to the hypervisor|Failed to connect socket|Disconnected from|client socket is closed|received hangup|Reconnected to the hypervisor|End of file while reading data|Cannot (recv|write) data/i
/** Of a command's complaint kept with its operation, as of a process. */
const STDERR_TAIL = 2048
const COMPLAINT = /^error:/m
const NO_SUCH_DOMAIN = /failed to get domain|Domain not found|no domain with matching/i
const LOCK_TIMEOUT = /cannot acquire state change lock/i
/** Words that are joined to one command line of virsh may hold nothing that virsh would interpret. */
const PLAIN_WORD = /^[A-Za-z0-9._:/=-]+$/

export interface VirshOptions {
  readonly timeoutMs?: number
  /** Records the command with its operation; default: the hypervisor's own runner, which records nothing. */
  readonly run?: CommandRunner
  /**
   * May be typed into the session, as questions are: then it may be carried out twice, when the session breaks in the middle
   * and a process repeats it. For what is quick and leads to a state. Default: whatever is recorded gets a process.
   */
  readonly mayRepeat?: boolean
}

interface Limits {
  readonly run: CommandRunner
  readonly timeoutMs: number
}

export interface VirshAnswer {
  readonly ok: boolean
  readonly stdout: string
  readonly stderr: string
}

/** How the rest of this folder runs virsh. Every failure is a LifeboatError; see `virshError`. */
export interface Virsh {
  /** The whole argv of a command, for the programs that are followed or run with limits of their own. */
  argv(words: readonly string[]): readonly string[]
  /** Runs one command and returns what it printed. */
  text(words: readonly string[], options?: VirshOptions): Promise<string>
  /** Runs one command; a failure of the command is an answer, only an unreachable libvirt or a missing virsh throws. */
  answer(words: readonly string[], options?: VirshOptions): Promise<VirshAnswer>
  /**
   * Runs several commands as one line over one connection, and returns one text for each. A command that fails leaves an empty text and its complaint in `stderr`: with
   * `strict` that is thrown, because an empty list of VMs and a failed one must never look alike.
   */
  batch(
    commands: readonly (readonly string[])[],
    options?: VirshOptions & { readonly strict?: boolean },
  ): Promise<{ readonly sections: readonly string[]; readonly stderr: string }>
}

/** The command line of `virsh` at the libvirt that `uri` names, `qemu:///system`. */
export function virshArgv(uri: string, words: readonly string[]): readonly string[] {
  return ['virsh', '--connect', uri, ...words]
}

/** Whether virsh complained that it has lost its libvirt, or cannot reach it. */
export const isConnectionLost = (stderr: string): boolean => CONNECTION_LOST.test(stderr)

/** Each command is a process of its own, but for those that the session answers. */
export function createVirsh(runner: CommandRunner, uri: string, session?: VirshSession): Virsh {
  const argv = (words: readonly string[]): readonly string[] => virshArgv(uri, words)

  /** Runs it as a process. virsh ends with 1 whatever went wrong; only its text tells the cases apart. */
  async function runProcess(words: readonly string[], { run, timeoutMs }: Limits): Promise<VirshAnswer> {
    const { exitCode, stdout, stderr } = await run.run(argv(words), { timeoutMs, okExitCodes: [0, 1] })
    return { ok: exitCode === 0, stdout, stderr }
  }

  /** Asks the session, and records it like a process; undefined when it has no answer. */
  async function askSession(
    words: readonly string[],
    { run, timeoutMs }: Limits,
  ): Promise<VirshAnswer | undefined> {
    const answer = await session?.ask(words.join(' '), timeoutMs)
    if (answer === undefined) return undefined
    const { stdout, stderr, startedAt, durationMs, isLate } = answer
    const ok = !isLate && !COMPLAINT.test(stderr)
    const exitCode = isLate ? -1 : ok ? 0 : 1
    run.note({ argv: argv(words), exitCode, startedAt, durationMs, stderrTail: stderr.slice(-STDERR_TAIL) })
    if (isLate) throw new LifeboatError('timeout', `virsh did not answer within ${timeoutMs} ms`)
    return { ok, stdout, stderr }
  }

  async function execute(
    words: readonly string[],
    isTypable: boolean,
    options: VirshOptions = {},
  ): Promise<VirshAnswer> {
    const limits = { run: options.run ?? runner, timeoutMs: options.timeoutMs ?? QUERY_TIMEOUT_MS }
    try {
      const mayRepeat = options.mayRepeat ?? options.run === undefined
      const fromSession = isTypable && mayRepeat ? await askSession(words, limits) : undefined
      const answer = fromSession ?? (await runProcess(words, limits))
      if (!answer.ok && isConnectionLost(answer.stderr)) throw virshError(words, answer.stderr)
      return answer
    } catch (error) {
      return unreachableWhenSlow(error)
    }
  }

  const answer = async (words: readonly string[], options?: VirshOptions) =>
    await execute(words, isPlainCommand(words), options)

  return {
    argv,
    answer,
    text: async (words, options) => {
      const { ok, stdout, stderr } = await answer(words, options)
      if (!ok) throw virshError(words, stderr)
      return stdout
    },
    batch: async (commands, options) => {
      const line = batchLine(commands)
      const { stdout, stderr } = await execute([line], true, options)
      // virsh goes on after a failed command and ends with the code of the last one, so only its text can be trusted.
      if (isConnectionLost(stderr)) throw virshError([line], stderr)
      if (options?.strict && COMPLAINT.test(stderr)) throw virshError([line], stderr)
      const sections = stdout.split(new RegExp(`^${SECTION_MARK}\n+`, 'm'))
      if (sections.length !== commands.length) {
        throw new LifeboatError(
          'bad-tool-output',
          `virsh answered ${sections.length} of ${commands.length} commands`,
          { cause: virshError([line], stderr) },
        )
      }
      return { sections, stderr }
    },
  }
}

/** A first word with a dash is an option of the program (`virsh --version`), no command its prompt knows. */
function isPlainCommand(words: readonly string[]): boolean {
  return !words[0]?.startsWith('-') && words.every(word => PLAIN_WORD.test(word))
}

function batchLine(commands: readonly (readonly string[])[]): string {
  const odd = commands.flat().find(word => !PLAIN_WORD.test(word))
  if (odd !== undefined) throw new LifeboatError('internal', `'${odd}' cannot stand in a virsh batch`)
  return commands.map(words => words.join(' ')).join(`; echo ${SECTION_MARK}; `)
}

/** What virsh complained about, in one line. */
export function virshComplaint(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map(line => line.replace(/^error: /, '').trim())
    .filter(line => line !== '')
  return lines.join('; ') || 'no message'
}

/** The error behind what virsh wrote to stderr; the code is `unavailable`, `not-found`, `timeout` or `command-failed`. */
export function virshError(words: readonly string[], stderr: string): LifeboatError {
  const said = virshComplaint(stderr)
  const command = `virsh ${words[0] ?? ''}`
  if (isConnectionLost(stderr)) {
    return new LifeboatError('unavailable', `libvirt does not answer (systemctl status libvirtd): ${said}`)
  }
  if (NO_SUCH_DOMAIN.test(stderr)) return new LifeboatError('not-found', `libvirt has no such VM: ${said}`)
  if (LOCK_TIMEOUT.test(stderr)) return new LifeboatError('timeout', `${command}: the VM is busy: ${said}`)
  return new LifeboatError('command-failed', `${command} failed: ${said}`)
}

/** A virsh that hangs and one that cannot connect are the same to our callers: the hypervisor does not answer. */
function unreachableWhenSlow(error: unknown): never {
  if (error instanceof LifeboatError && error.code === 'timeout') {
    throw new LifeboatError('unavailable', 'libvirt does not answer in time (systemctl status libvirtd)', {
      cause: error,
    })
  }
  throw error
}
