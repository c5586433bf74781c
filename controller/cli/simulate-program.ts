import type { Command } from 'commander'
import { addSimulateCommand } from './commands/simulate.ts'
import type { CliContext } from './context.ts'
import { newProgram, prepare } from './global-options.ts'

/** `lifeboat simulate` alone, for a quick start: it loads nothing of the other commands. */
export function createSimulateProgram(context: CliContext): Command {
  const program = newProgram()
  addSimulateCommand(program, context)
  prepare(program, program.name())
  return program
}
