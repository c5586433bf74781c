#!/usr/bin/env node
import { Command } from 'commander'
import { formatErrorChain } from '../../shared/errors.ts'
import { VERSION } from '../../shared/version.ts'
import { addServiceCommands } from './commands/service.ts'

const program = new Command('lifeboat-vault')
  .description('Keeps restore points of VMs in a directory: as the vault of a fleet, or without one.')
  .version(VERSION)
  .showHelpAfterError('(lifeboat-vault --help shows the commands)')
addServiceCommands(program)

try {
  await program.parseAsync()
} catch (error) {
  console.error(`lifeboat-vault: ${formatErrorChain(error)}`)
  process.exitCode = 1
}
