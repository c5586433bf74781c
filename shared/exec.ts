import type { CommandRecord } from './domain/operation.ts'

export interface RunOptions {
  /** Always: a tool that hangs must not hang the agent. SIGTERM at the limit, SIGKILL 2 s later. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  /** Exit codes that are an answer, not an error; default [0]. */
  readonly okExitCodes?: readonly number[]
}

export interface RunResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
  readonly durationMs: number
}

export interface FollowOptions {
  readonly onLine: (line: string) => void
  /** Lines of its standard error; unread by default. */
  readonly onErrorLine?: (line: string) => void
  readonly env?: Readonly<Record<string, string>>
  /** The program ended, for whatever reason; the caller decides whether to start it again. */
  readonly onEnd: (exitCode: number) => void
}

export interface FollowedProgram {
  /** One line to its standard input, which stays open until `stop`. What it no longer reads is dropped without a word. */
  write(line: string): void
  stop(): void
}

/**
 * The one way to run a program: argv only (never a shell), LC_ALL=C, time limit always, output capped.
 * Errors: `tool-missing` (the message names the Debian package to install), `timeout`, `aborted`, `command-failed`
 * (message: what exited with which code, and the last line of stderr).
 */
export interface CommandRunner {
  run(argv: readonly string[], options: RunOptions): Promise<RunResult>
  /** A long-lived program that prints lines, and may be written to. */
  follow(argv: readonly string[], options: FollowOptions): FollowedProgram
  /** The same runner, telling every finished command to the observer: that is how an operation keeps its commands. */
  observed(observer: (record: CommandRecord) => void): CommandRunner
  /** Tells the observers of a command that was typed into a followed program: they keep it like any other. */
  note(record: CommandRecord): void
}
