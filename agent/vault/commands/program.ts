import { Command, Option } from 'commander'
import { VERSION } from '../../../shared/version.ts'
import { addAddCommand } from './add.ts'
import { addCareCommands } from './care.ts'
import type { VaultCommandContext } from './context.ts'
import { EXIT_CODES_HELP } from './exit-codes.ts'
import { addExportCommand } from './export.ts'
import { addExtractCommand } from './extract.ts'
import { addLookCommands } from './look.ts'
import { addRestoreCommand } from './restore.ts'

/** Options of every command. */
export interface GlobalOptions {
  readonly output: 'table' | 'json'
}

/** The commands that work on a directory, with no service and no controller; no side effects until it is parsed. */
export function createVaultProgram(context: VaultCommandContext): Command {
  const program = new Command('lifeboat-vault')
    .description('Keeps restore points of VMs: as a service for the fleet, or by hand in any directory.')
    .version(VERSION)
    .addOption(
      new Option('-o, --output <format>', 'table for people, json for programs')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addHelpText(
      'after',
      `
Commands on a directory need no controller and no service; those that write need that no service runs on it.

Examples:
  lifeboat-vault add web01 /dev/vg0/web01-snap --vault /srv/vault
  lifeboat-vault list --vault /srv/vault
  lifeboat-vault restore web01 --vault /srv/vault --name web01-test

${EXIT_CODES_HELP}`,
    )
  addLookCommands(program, context)
  addAddCommand(program, context)
  addExportCommand(program, context)
  addRestoreCommand(program, context)
  addExtractCommand(program, context)
  addCareCommands(program, context)
  return program
}

/** Children do not inherit these settings from their parent. `path` is what a person types up to here. */
export function prepareProgram(command: Command, path: string): void {
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError(`(${path} --help shows what there is)`)
  for (const child of command.commands) prepareProgram(child, `${path} ${child.name()}`)
}
