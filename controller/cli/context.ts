import type { AdminConnection } from './connection.ts'

/** What every command gets: the ways out and the connection. Made once in main.ts; tests make their own. */
export interface CliContext {
  /** Standard output: tables for people, or JSON. */
  print(text: string): void
  /** Standard error: progress and warnings. */
  note(text: string): void
  /** The text, red where a terminal shows it. */
  alarming(text: string): string
  /** Rewrites one line in place on a terminal; elsewhere a line for each new phase. */
  progress(phase: string, detail: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  now(): number
  /** Connects on first use. */
  admin(): AdminConnection
  /**
   * The same, of what begins operations. From before the question on Ctrl-C no longer ends the command by itself: whoever
   * leaves is told what goes on without him.
   */
  readonly begin: AdminConnection['ask']
  /** Aborted by the first Ctrl-C. */
  readonly interrupted: AbortSignal
  /** The exit code when nothing throws; 0 unless a command says otherwise. */
  exitWith(code: number): void
  /** `--output json`. */
  json(): boolean
}

/** Prints the answer as JSON, or as the text made of it. */
export function show<T>(context: CliContext, answer: T, text: (answer: T) => string): void {
  context.print(context.json() ? JSON.stringify(answer, undefined, 2) : text(answer))
}
