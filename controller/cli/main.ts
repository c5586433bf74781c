#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import { VERSION } from '../../shared/version.ts'
import { addAlertCommands } from './commands/alert.ts'
import { addAutomationCommands } from './commands/automation.ts'
import { addBladeCommands } from './commands/blade.ts'
import { addEvacuationCommands } from './commands/evacuation.ts'
import { addOperationCommands } from './commands/operation.ts'
import { addSimulationCommands } from './commands/simulation.ts'
import { addStatusCommand } from './commands/status.ts'
import { addVmCommands } from './commands/vm.ts'
import { addWhyCommands } from './commands/why.ts'
import { type AdminConnection, connect, findController } from './connection.ts'
import type { CliContext } from './context.ts'
import { EXIT_CODES, EXIT_CODES_HELP, exitCodeOf } from './exit-codes.ts'

interface GlobalOptions {
  readonly output: 'table' | 'json'
  readonly socket?: string
  readonly controller?: string
  readonly identity?: string
}

/** Every command of the CLI over the given context; no side effects until it is parsed. */
export function createProgram(context: CliContext): Command {
  const program = new Command('lifeboat')
    .description('Keeps the VMs of a small blade fleet alive.')
    .version(VERSION)
    .addOption(
      new Option('-o, --output <format>', 'table for people, json for programs')
        .choices(['table', 'json'])
        .default('table'),
    )
    .option('--socket <path>', 'the admin socket of the controller (else $LIFEBOAT_SOCKET)')
    .option('--controller <host[:port]>', 'a controller elsewhere (else $LIFEBOAT_CONTROLLER)')
    .option(
      '--identity <directory>',
      'certificate.pem, key.pem, authority.pem of role admin (else $LIFEBOAT_IDENTITY)',
    )
    .addHelpText(
      'after',
      `\nExamples:\n  lifeboat status\n  lifeboat evacuate blade03 --plan\n  lifeboat why mail01\n\n${EXIT_CODES_HELP}`,
    )
    .showHelpAfterError('(lifeboat --help shows the commands)')
  addStatusCommand(program, context)
  addBladeCommands(program, context)
  addVmCommands(program, context)
  addEvacuationCommands(program, context)
  addOperationCommands(program, context)
  addAlertCommands(program, context)
  addAutomationCommands(program, context)
  addWhyCommands(program, context)
  addSimulationCommands(program, context)
  prepare(program)
  return program
}

/** Children do not inherit these settings from their parent. */
function prepare(command: Command): void {
  command.exitOverride().configureHelp({ showGlobalOptions: true })
  for (const child of command.commands) prepare(child)
}

async function main(): Promise<number> {
  let connection: AdminConnection | undefined
  let exitCode: number = EXIT_CODES.done
  let lastProgress = ''
  const live = process.stderr.isTTY === true
  const endProgress = () => {
    if (live && lastProgress !== '') process.stderr.write('\r\u001b[K')
    lastProgress = ''
  }
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort())
  const context: CliContext = {
    print: text => {
      endProgress()
      process.stdout.write(`${text}\n`)
    },
    note: text => {
      endProgress()
      process.stderr.write(`${text}\n`)
    },
    progress: text => {
      if (text === lastProgress) return
      lastProgress = text
      process.stderr.write(live ? `\r\u001b[K${text}` : `${text}\n`)
    },
    env: process.env,
    now: () => Date.now(),
    admin: () => {
      connection ??= connect(findController(program.opts<GlobalOptions>(), process.env))
      return connection
    },
    interrupted: interrupt.signal,
    exitWith: code => {
      exitCode = code
    },
    json: () => program.opts<GlobalOptions>().output === 'json',
  }
  const program = createProgram(context)
  try {
    await program.parseAsync(process.argv)
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage
    endProgress()
    reportError(error, context.json())
    return exitCodeOf(error)
  } finally {
    connection?.close()
  }
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
  process.stderr.write(`lifeboat: ${formatErrorChain(error)}\n`)
}

process.exitCode = await main()
