import { CommanderError } from 'commander'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { AdminConnection } from './connection.ts'
import type { CliContext } from './context.ts'
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts'
import { asksForJson, type GlobalOptions, silence } from './global-options.ts'
import { cutToWidth } from './render.ts'

/**
 * Runs the command of `argv` (as in process.argv) and returns the exit code. `lifeboat simulate` talks to nobody: what
 * talks to a controller is not loaded for it.
 */
export async function runCli(argv: readonly string[], now: () => number): Promise<number> {
  const { createProgram, connection: link } = isSimulation(argv)
    ? { createProgram: (await import('./simulate-program.ts')).createSimulateProgram, connection: undefined }
    : {
        createProgram: (await import('./program.ts')).createProgram,
        connection: await import('./connection.ts'),
      }
  let connection: AdminConnection | undefined
  let exitCode: number = EXIT_CODES.done
  let lastProgress = ''
  const live = process.stderr.isTTY === true
  const endProgress = () => {
    if (live && lastProgress !== '') process.stderr.write('\r\u001b[K')
    lastProgress = ''
  }
  const inColour = process.stdout.isTTY === true && !process.env.NO_COLOR
  let interrupted: AbortSignal | undefined
  const listen = (): AbortSignal => {
    interrupted ??= firstInterrupt()
    return interrupted
  }
  // `lifeboat … | head`: whoever reads has enough, and that is no defect.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  const context: CliContext = {
    print: text => {
      endProgress()
      process.stdout.write(`${text}\n`)
    },
    note: text => {
      endProgress()
      process.stderr.write(`${text}\n`)
    },
    alarming: text => (inColour ? `\u001b[31m${text}\u001b[39m` : text),
    progress: (phase, detail) => {
      // A line that wraps could not be rewritten: only its last row would be.
      const text = live ? cutToWidth(`${phase} ${detail}`.trimEnd(), process.stderr.columns ?? 80) : phase
      if (text === lastProgress) return
      lastProgress = text
      process.stderr.write(live ? `\r\u001b[K${text}` : `${text}\n`)
    },
    env: process.env,
    now,
    admin: () => {
      if (link === undefined) throw new LifeboatError('internal', 'this command has no controller')
      connection ??= link.connect(link.findController(program.opts<GlobalOptions>(), process.env))
      return connection
    },
    begin: (...question) => {
      listen()
      return context.admin().ask(...question)
    },
    // Only a command that begins or follows something has anything to say at its end; Ctrl-C ends any other at once.
    get interrupted() {
      return listen()
    },
    exitWith: code => {
      exitCode = code
    },
    json: () => program.opts<GlobalOptions>().output === 'json',
  }
  const program = createProgram(context)
  const isJson = asksForJson(argv)
  if (isJson) silence(program)
  try {
    await program.parseAsync([...argv])
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CODES.done
    endProgress()
    if (error instanceof CommanderError) {
      if (isJson) reportError(new LifeboatError('bad-input', error.message.replace(/^error: /, '')), isJson)
      return EXIT_CODES.usage
    }
    reportError(error, context.json())
    return exitCodeOf(error)
  } finally {
    connection?.close()
  }
}

function firstInterrupt(): AbortSignal {
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort())
  return interrupt.signal
}

/** Errors go to standard error; with `--output json` as one JSON object, so that a program need not parse prose. */
function reportError(error: unknown, json: boolean): void {
  if (json) {
    const code = error instanceof LifeboatError ? error.code : 'internal'
    const details = error instanceof LifeboatError ? error.details : []
    process.stderr.write(
      `${JSON.stringify({ error: { code, message: formatErrorChain(error), details } })}\n`,
    )
    return
  }
  // Nine blades that refuse are read one a line.
  const isList = error instanceof LifeboatError && error.details.length > 2 && error.cause === undefined
  const text = isList ? [`${error.message}:`, ...error.details].join('\n  ') : formatErrorChain(error)
  process.stderr.write(`lifeboat: ${text}\n`)
}

/** Options before the command are left to the whole program, which knows `simulate` as well. */
function isSimulation(argv: readonly string[]): boolean {
  return argv[2] === 'simulate'
}
