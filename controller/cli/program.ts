import type { Command } from 'commander'
import { addAlertCommands } from './commands/alert.ts'
import { addAutomationCommands } from './commands/automation.ts'
import { addBackupCommands } from './commands/backup.ts'
import { addBladeCommands } from './commands/blade.ts'
import { addCapacityCommand } from './commands/capacity.ts'
import { addEvacuationCommands } from './commands/evacuation.ts'
import { addOperationCommands } from './commands/operation.ts'
import { addRebalanceCommand } from './commands/rebalance.ts'
import { addSimulateCommand } from './commands/simulate.ts'
import { addSimulationCommands } from './commands/simulation.ts'
import { addStatusCommand } from './commands/status.ts'
import { addVaultCommands } from './commands/vault.ts'
import { addVmCommands } from './commands/vm.ts'
import { addWhatIfCommand } from './commands/what-if.ts'
import { addWhyCommands } from './commands/why.ts'
import type { CliContext } from './context.ts'
import { EXIT_CODES_HELP } from './exit-codes.ts'
import { newProgram, prepare } from './global-options.ts'

/** Every command of the CLI over the given context; no side effects until it is parsed. */
export function createProgram(context: CliContext): Command {
  const program = newProgram().addHelpText(
    'after',
    `\nExamples:\n  lifeboat status\n  lifeboat evacuate blade03 --plan\n  lifeboat why mail01\n\n${EXIT_CODES_HELP}`,
  )
  addStatusCommand(program, context)
  addBladeCommands(program, context)
  addVmCommands(program, context)
  addEvacuationCommands(program, context)
  addCapacityCommand(program, context)
  addWhatIfCommand(program, context)
  addRebalanceCommand(program, context)
  addBackupCommands(program, context)
  addVaultCommands(program, context)
  addOperationCommands(program, context)
  addAlertCommands(program, context)
  addAutomationCommands(program, context)
  addWhyCommands(program, context)
  addSimulateCommand(program, context)
  addSimulationCommands(program, context)
  prepare(program, program.name())
  return program
}
