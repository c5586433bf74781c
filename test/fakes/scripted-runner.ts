import type { CommandRecord } from '../../shared/domain/operation.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner, FollowOptions, RunOptions, RunResult } from '../../shared/exec.ts'

/** A whole argv, its beginning closed by '...', or a test of it. */
export type ArgvPattern = readonly string[] | ((argv: readonly string[]) => boolean)

export interface ScriptedCommand {
  readonly argv: ArgvPattern
  /** Text, or made from the argv. Default ''. */
  readonly stdout?: string | ((argv: readonly string[]) => string)
  readonly stderr?: string
  /** Default 0. Another code is `command-failed`, as from the real runner, unless the caller calls it ok. */
  readonly exitCode?: number
  /** Thrown instead of an answer: `tool-missing`, `timeout`, ... */
  readonly error?: Error
  /** Answers only that many calls, then later entries of the script get their turn. Default: every call. */
  readonly times?: number
  /** Held back until this resolves; an aborted signal ends the wait with `aborted`. */
  readonly until?: Promise<unknown>
  /** Runs when the command is called, before it answers: a place to change the world. */
  readonly onCall?: (argv: readonly string[]) => void
}

export interface ScriptedCall {
  readonly argv: readonly string[]
  readonly options: RunOptions
}

/** A program started with `follow`, played by the test. */
export interface FollowedProgram {
  readonly argv: readonly string[]
  readonly stopped: boolean
  /** Lines it was given. */
  readonly written: readonly string[]
  complain(line: string): void
  print(line: string): void
  end(exitCode: number): void
}

export interface ScriptedRunner extends CommandRunner {
  /** Everything run so far, in order, by this runner and those made by `observed`. */
  readonly calls: readonly ScriptedCall[]
  readonly followed: readonly FollowedProgram[]
  /** More entries, asked before the ones already there: the world has changed. */
  script(commands: readonly ScriptedCommand[]): void
  /** Calls whose argv begins with these words. */
  callsOf(...words: readonly string[]): readonly ScriptedCall[]
}

/**
 * Plays programs from a script: the first entry whose argv matches answers. A command the script does not know is
 * an error of the test (`internal`), never an empty answer: an unforeseen process is a finding.
 */
export function createScriptedRunner(script: readonly ScriptedCommand[]): ScriptedRunner {
  const stage = {
    entries: script.map(toEntry),
    calls: [] as ScriptedCall[],
    followed: [] as FollowedProgram[],
  }
  return createRunner(stage, [])
}

interface Entry {
  readonly command: ScriptedCommand
  left: number
}

interface Stage {
  entries: Entry[]
  readonly calls: ScriptedCall[]
  readonly followed: FollowedProgram[]
}

type Observer = (record: CommandRecord) => void

function createRunner(stage: Stage, observers: readonly Observer[]): ScriptedRunner {
  return {
    calls: stage.calls,
    followed: stage.followed,
    script: commands => {
      stage.entries = [...commands.map(toEntry), ...stage.entries]
    },
    callsOf: (...words) =>
      stage.calls.filter(call => words.every((word, index) => call.argv[index] === word)),
    run: (argv, options) => play(stage, observers, argv, options),
    follow: (argv, options) => startFollowed(stage, argv, options),
    observed: observer => createRunner(stage, [...observers, observer]),
    note: record => {
      for (const observe of observers) observe(record)
    },
  }
}

async function play(
  stage: Stage,
  observers: readonly Observer[],
  argv: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  stage.calls.push({ argv, options })
  if (options.signal?.aborted) throw abortedError(argv)
  const entry = stage.entries.find(candidate => candidate.left > 0 && matches(candidate.command.argv, argv))
  if (entry === undefined)
    throw new LifeboatError('internal', `the script has no answer to: ${argv.join(' ')}`)
  entry.left -= 1
  const { command } = entry
  command.onCall?.(argv)
  if (command.until !== undefined) await waitFor(command.until, argv, options.signal)
  if (command.error !== undefined) throw command.error
  const exitCode = command.exitCode ?? 0
  const stderr = command.stderr ?? ''
  for (const observe of observers)
    observe({ argv, exitCode, startedAt: 0, durationMs: 0, stderrTail: stderr })
  if (!(options.okExitCodes ?? [0]).includes(exitCode)) {
    const lastLine = stderr.trim().split('\n').at(-1) ?? ''
    throw new LifeboatError('command-failed', `${argv[0]} exited with ${exitCode}: ${lastLine}`)
  }
  const stdout = typeof command.stdout === 'function' ? command.stdout(argv) : (command.stdout ?? '')
  return { stdout, stderr, exitCode, durationMs: 0 }
}

function startFollowed(
  stage: Stage,
  argv: readonly string[],
  options: FollowOptions,
): { write(line: string): void; stop(): void } {
  const written: string[] = []
  let stopped = false
  let ended = false
  stage.followed.push({
    argv,
    written,
    get stopped() {
      return stopped
    },
    print: line => {
      if (!ended) options.onLine(line)
    },
    complain: line => {
      if (!ended) options.onErrorLine?.(line)
    },
    end: exitCode => {
      if (ended) return
      ended = true
      options.onEnd(exitCode)
    },
  })
  return {
    write: line => written.push(line),
    stop: () => {
      stopped = true
    },
  }
}

async function waitFor(
  until: Promise<unknown>,
  argv: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (signal === undefined) {
    await until
    return
  }
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(abortedError(argv))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([until, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function abortedError(argv: readonly string[]): LifeboatError {
  return new LifeboatError('aborted', `${argv[0]} was stopped on request`)
}

function toEntry(command: ScriptedCommand): Entry {
  return { command, left: command.times ?? Number.POSITIVE_INFINITY }
}

function matches(pattern: ArgvPattern, argv: readonly string[]): boolean {
  if (typeof pattern === 'function') return pattern(argv)
  const open = pattern.at(-1) === '...'
  const words = open ? pattern.slice(0, -1) : pattern
  if (open ? argv.length < words.length : argv.length !== words.length) return false
  return words.every((word, index) => argv[index] === word)
}
