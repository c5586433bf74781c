import type { AdminConnection } from '../../../../controller/cli/connection.ts'
import type { CliContext } from '../../../../controller/cli/context.ts'
import { createProgram } from '../../../../controller/cli/program.ts'
import { type Operation, Operation as OperationMessage } from '../../../../proto/gen/lifeboat/v1/admin.ts'

export interface CliRun {
  readonly printed: string[]
  readonly noted: string[]
  /** Phase and detail, as a terminal shows them. */
  readonly progressed: string[]
  readonly asked: { method: string; request: unknown }[]
  readonly exitCode: number
}

/** What the controller answers, by method; a function is called with the request. */
export type Answers = Readonly<Record<string, unknown>>

/** Runs `lifeboat ARGV…` against prepared answers. */
export async function runCli(
  argv: readonly string[],
  answers: Answers,
  /** What is seen of the one operation, or of each by its id. */
  watched: readonly Partial<Operation>[] | Readonly<Record<string, readonly Partial<Operation>[]>> = [],
  interrupted: AbortSignal = new AbortController().signal,
): Promise<CliRun> {
  const run = {
    printed: [] as string[],
    noted: [] as string[],
    progressed: [] as string[],
    asked: [] as CliRun['asked'],
    exitCode: 0,
  }
  const connection: AdminConnection = {
    ask: (method, request) => {
      run.asked.push({ method, request })
      const answer = answers[method]
      if (answer === undefined) throw new Error(`nothing prepared for ${method}`)
      return Promise.resolve((typeof answer === 'function' ? answer(request) : answer) as never)
    },
    watch: async function* (id) {
      for (const operation of Array.isArray(watched)
        ? watched
        : ((watched as Record<string, []>)[id] ?? [])) {
        if (interrupted.aborted) return
        yield OperationMessage.fromPartial(operation)
      }
    },
    close: () => {},
  }
  const context: CliContext = {
    print: text => void run.printed.push(text),
    note: text => void run.noted.push(text),
    alarming: text => `!${text}!`,
    progress: (phase, detail) => {
      run.noted.push(phase)
      run.progressed.push(`${phase} ${detail}`)
    },
    env: {},
    now: () => 1_000_000,
    admin: () => connection,
    begin: connection.ask,
    interrupted,
    exitWith: code => {
      run.exitCode = code
    },
    json: () => program.opts<{ output: string }>().output === 'json',
  }
  const program = createProgram(context)
  await program.parseAsync(['node', 'lifeboat', ...argv])
  return run
}
