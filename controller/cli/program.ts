import { Command, Help, Option } from 'commander'
import { VERSION } from '../../shared/version.ts'
import { addAlertCommands } from './commands/alert.ts'
import { addAutomationCommands } from './commands/automation.ts'
import { addBackupCommands } from './commands/backup.ts'
import { addBladeCommands } from './commands/blade.ts'
import { addCapacityCommand } from './commands/capacity.ts'
import { addEvacuationCommands } from './commands/evacuation.ts'
import { addOperationCommands } from './commands/operation.ts'
import { addSimulationCommands } from './commands/simulation.ts'
import { addStatusCommand } from './commands/status.ts'
import { addVaultCommands } from './commands/vault.ts'
import { addVmCommands } from './commands/vm.ts'
import { addWhatIfCommand } from './commands/what-if.ts'
import { addWhyCommands } from './commands/why.ts'
import type { CliContext } from './context.ts'
import { EXIT_CODES_HELP } from './exit-codes.ts'

/** Options of every command. */
export interface GlobalOptions {
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
  addStatusCommand(program, context)
  addBladeCommands(program, context)
  addVmCommands(program, context)
  addEvacuationCommands(program, context)
  addCapacityCommand(program, context)
  addWhatIfCommand(program, context)
  addBackupCommands(program, context)
  addVaultCommands(program, context)
  addOperationCommands(program, context)
  addAlertCommands(program, context)
  addAutomationCommands(program, context)
  addWhyCommands(program, context)
  addSimulationCommands(program, context)
  prepare(program, program.name())
  return program
}

/** Children do not inherit these settings from their parent. `path` is what a person types up to here. */
function prepare(command: Command, path: string): void {
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, optionDescription })
    .showHelpAfterError(`(${path} --help shows what there is)`)
  for (const child of command.commands) prepare(child, `${path} ${child.name()}`)
}

/** Commander's text, without a default that means "not given". */
function optionDescription(option: Option): string {
  const isEmpty = ['', 0, '[]'].includes(Array.isArray(option.defaultValue) ? '[]' : option.defaultValue)
  return isEmpty ? option.description : new Help().optionDescription(option)
}
