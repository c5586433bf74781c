import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock } from './clock.ts'
import type { CommandRecord } from './domain/operation.ts'
import { LifeboatError } from './errors.ts'
import type { CommandRunner, FollowedProgram, FollowOptions, RunOptions, RunResult } from './exec.ts'

// A hundred VMs' dumpxml fit many times over; a tool that prints more has gone mad and must not take the agent along.
const STDOUT_LIMIT_BYTES = 8 * 1024 * 1024
const STDERR_KEPT_BYTES = 64 * 1024
const RECORD_STDERR_BYTES = 2048
/** Between SIGTERM and SIGKILL, and what a daemon left behind by a tool may hold our pipe open after its end. */
const KILL_GRACE_MS = 2000

/** Debian packages that hold the tools we use. */
const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  virsh: 'libvirt-clients',
  'qemu-img': 'qemu-utils',
  mdadm: 'mdadm',
  ipmitool: 'ipmitool',
  'systemd-run': 'systemd',
  'systemd-notify': 'systemd',
  systemctl: 'systemd',
  thin_delta: 'thin-provisioning-tools',
  dmsetup: 'dmsetup',
  blockdev: 'util-linux',
  mount: 'mount',
  umount: 'mount',
  udevadm: 'udev',
}
const LVM_TOOL = /^(lv|vg|pv)[a-z]+$|^lvm$/

/** Which Debian package holds the program; undefined when it is not one of ours. */
export function debianPackageOf(program: string): string | undefined {
  const name = program.slice(program.lastIndexOf('/') + 1)
  return DEBIAN_PACKAGES[name] ?? (LVM_TOOL.test(name) ? 'lvm2' : undefined)
}

/** The real CommandRunner, see shared/exec.ts for what it promises. */
export function createCommandRunner(clock: Clock): CommandRunner {
  return createRunner(clock, [])
}

function createRunner(clock: Clock, observers: readonly ((record: CommandRecord) => void)[]): CommandRunner {
  return {
    run: (argv, options) => run(clock, argv, options, observers),
    follow: (argv, options) => follow(clock, argv, options),
    observed: observer => createRunner(clock, [...observers, observer]),
    note: record => {
      for (const observer of observers) observer(record)
    },
  }
}

type Ending = 'timeout' | 'aborted' | 'too-much'

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
  readonly killedBy: NodeJS.Signals | null
  readonly spawnError: NodeJS.ErrnoException | undefined
  readonly ending: Ending | undefined
}

async function run(
  clock: Clock,
  argv: readonly string[],
  options: RunOptions,
  observers: readonly ((record: CommandRecord) => void)[],
): Promise<RunResult> {
  const startedAt = clock.now()
  const outcome = await runToEnd(clock, argv, options)
  const durationMs = clock.now() - startedAt
  const record: CommandRecord = {
    argv: [...argv],
    exitCode: outcome.exitCode,
    startedAt,
    durationMs,
    stderrTail: Buffer.from(outcome.stderr).subarray(-RECORD_STDERR_BYTES).toString('utf8'),
  }
  for (const observer of observers) observer(record)
  const failure = judge(argv, options, outcome)
  if (failure !== undefined) throw failure
  return { stdout: outcome.stdout, stderr: outcome.stderr, exitCode: outcome.exitCode, durationMs }
}

/** Pure: what an outcome means. Order matters: a tool killed by our time limit also has an exit code. */
function judge(argv: readonly string[], options: RunOptions, outcome: Outcome): LifeboatError | undefined {
  const program = argv[0] ?? ''
  if (outcome.spawnError !== undefined) return spawnFailure(program, outcome.spawnError)
  if (outcome.ending === 'timeout') {
    return new LifeboatError('timeout', `${program} did not end within ${options.timeoutMs} ms`)
  }
  if (outcome.ending === 'aborted') return new LifeboatError('aborted', `${program} was stopped on request`)
  if (outcome.ending === 'too-much') {
    return new LifeboatError('bad-tool-output', `${program} printed more than ${STDOUT_LIMIT_BYTES} bytes`)
  }
  const lastLine = outcome.stderr.trimEnd().split('\n').at(-1)?.trim() ?? ''
  const because = lastLine === '' ? '' : `: ${lastLine}`
  if (outcome.killedBy !== null) {
    return new LifeboatError('command-failed', `${program} was killed by ${outcome.killedBy}${because}`)
  }
  if (!(options.okExitCodes ?? [0]).includes(outcome.exitCode)) {
    return new LifeboatError('command-failed', `${program} exited with ${outcome.exitCode}${because}`)
  }
  return undefined
}

function spawnFailure(program: string, error: NodeJS.ErrnoException): LifeboatError {
  if (error.code !== 'ENOENT') {
    return new LifeboatError('command-failed', `${program} cannot be started`, { cause: error })
  }
  const debianPackage = debianPackageOf(program)
  const advice = debianPackage === undefined ? '' : `: apt install ${debianPackage}`
  return new LifeboatError('tool-missing', `${program} is not installed${advice}`)
}

async function runToEnd(clock: Clock, argv: readonly string[], options: RunOptions): Promise<Outcome> {
  if (options.signal?.aborted) return { ...NEVER_STARTED, ending: 'aborted' }
  const child = start(argv, options.stdin === undefined ? 'ignore' : 'pipe', options.env)
  const output = collectOutput(child, () => end('too-much'))
  const over = new AbortController()
  let ending: Ending | undefined

  const end = (why: Ending): void => {
    if (ending !== undefined || over.signal.aborted) return
    ending = why
    void killInSteps(clock, child, over.signal)
  }
  const onAbort = (): void => end('aborted')
  options.signal?.addEventListener('abort', onAbort, { once: true })
  void clock.sleep(options.timeoutMs, over.signal).then(() => end('timeout'))
  if (options.stdin !== undefined) {
    // A tool that ends without reading makes EPIPE here; its exit code says more.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.stdin)
  }
  const last = await whenOver(clock, child)
  over.abort()
  options.signal?.removeEventListener('abort', onAbort)
  return { ...last, stdout: output.stdout(), stderr: output.stderr(), ending }
}

const NEVER_STARTED: Outcome = {
  stdout: '',
  stderr: '',
  exitCode: -1,
  killedBy: null,
  spawnError: undefined,
  ending: undefined,
}

function start(
  argv: readonly string[],
  stdin: 'ignore' | 'pipe',
  env?: Readonly<Record<string, string>>,
): ChildProcess {
  const [program, ...args] = argv
  if (program === undefined) throw new LifeboatError('internal', 'a command without a program')
  return spawn(program, args, {
    shell: false,
    stdio: [stdin, 'pipe', 'pipe'],
    env: { ...process.env, ...env, LC_ALL: 'C' },
    // Its own process group, so that the time limit also ends what the tool started.
    detached: true,
  })
}

/** Keeps the head of stdout up to the limit and the tail of stderr. */
function collectOutput(child: ChildProcess, onTooMuch: () => void) {
  const stdoutChunks: Buffer[] = []
  let stdoutBytes = 0
  let stderr = Buffer.alloc(0)
  child.stdout?.on('data', (chunk: Buffer) => {
    stdoutBytes += chunk.length
    if (stdoutBytes > STDOUT_LIMIT_BYTES) onTooMuch()
    else stdoutChunks.push(chunk)
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-STDERR_KEPT_BYTES)
  })
  return {
    stdout: () => Buffer.concat(stdoutChunks).toString('utf8'),
    stderr: () => stderr.toString('utf8'),
  }
}

/**
 * Waits for the end and for the last output. A daemon that a tool left behind may keep our pipe open for ever
 * (lvcreate starts dmeventd): after the exit it gets the grace time, then we take what was read.
 */
async function whenOver(
  clock: Clock,
  child: ChildProcess,
): Promise<Pick<Outcome, 'exitCode' | 'killedBy' | 'spawnError'>> {
  const closed = new AbortController()
  return await new Promise(resolve => {
    let last: Pick<Outcome, 'exitCode' | 'killedBy' | 'spawnError'> | undefined
    child.once('error', error => {
      // Also emitted for a kill that failed, when the child did start: only a missing pid is a failed start.
      if (child.pid === undefined) resolve({ exitCode: -1, killedBy: null, spawnError: error })
    })
    child.once('exit', (code, killedBy) => {
      last = { exitCode: code ?? -1, killedBy, spawnError: undefined }
      void clock.sleep(KILL_GRACE_MS, closed.signal).then(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      })
    })
    child.once('close', (code, killedBy) => {
      closed.abort()
      resolve(last ?? { exitCode: code ?? -1, killedBy, spawnError: undefined })
    })
  })
}

async function killInSteps(clock: Clock, child: ChildProcess, over: AbortSignal): Promise<void> {
  killGroup(child, 'SIGTERM')
  await clock.sleep(KILL_GRACE_MS, over)
  if (!over.aborted) killGroup(child, 'SIGKILL')
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The group is gone already, which is what was wanted.
  }
}

function follow(clock: Clock, argv: readonly string[], options: FollowOptions): FollowedProgram {
  const child = start(argv, 'pipe', options.env)
  const over = new AbortController()
  const rest = readLines(child.stdout, options.onLine)
  const errorRest = options.onErrorLine && readLines(child.stderr, options.onErrorLine)
  if (errorRest === undefined) child.stderr?.resume()
  // A program that has ended makes EPIPE here; its end is told by onEnd.
  child.stdin?.on('error', () => {})
  void whenOver(clock, child).then(last => {
    over.abort()
    rest()
    errorRest?.()
    options.onEnd(last.exitCode)
  })
  return {
    write: line => void child.stdin?.write(`${line}\n`),
    stop: () => {
      child.stdin?.end()
      void killInSteps(clock, child, over.signal)
    },
  }
}

/** Tells whole lines as they come; the returned function tells what is left at the end. */
function readLines(stream: ChildProcess['stdout'], onLine: (line: string) => void): () => void {
  let pending = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n')
    pending = lines.pop() ?? ''
    // A program that never ends its line would grow this without limit; nothing we follow prints such lines.
    if (pending.length > STDOUT_LIMIT_BYTES) pending = ''
    for (const line of lines) onLine(line)
  })
  return () => {
    if (pending !== '') onLine(pending)
  }
}
