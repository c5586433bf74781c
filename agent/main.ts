#!/usr/bin/env node
import { Command } from 'commander'
import { systemClock } from '../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../shared/errors.ts'
import { createCommandRunner } from '../shared/exec-node.ts'
import { runService } from '../shared/lifecycle.ts'
import { createLogger } from '../shared/log.ts'
import { VERSION } from '../shared/version.ts'
import { createAgent, hostSeams } from './bootstrap.ts'
import { checkBlade, renderCheck } from './check.ts'
import { DEFAULT_CONFIG_PATH, readAgentConfig } from './config.ts'
import { joinFleet } from './join.ts'
import { startUnit } from './unit.ts'

const UNIT = 'lifeboat-agent'

function createProgram(): Command {
  const program = new Command('lifeboat-agent')
    .description(
      'The agent of one blade: VM control, volumes, host health. Started by systemd; see lifeboat(1) for the fleet.',
    )
    .version(VERSION)
    .option('-c, --config <file>', 'configuration of the agent', DEFAULT_CONFIG_PATH)
    .showHelpAfterError('(lifeboat-agent --help shows the commands)')
  program
    .command('run')
    .description('run in the foreground until SIGTERM; what the unit does')
    .action(() => run(configPath(program)))
  program
    .command('join')
    .description('trade the token of `lifeboat blade add` for a certificate, and start the agent')
    .argument('[token]', 'the token, as printed')
    .option('--token <token>', 'the same, by name')
    .requiredOption('--controller <host[:port]>', 'where the controller is')
    .option('--force', 'join anew although this blade has joined before', false)
    .option('--no-start', 'only write the identity')
    .addHelpText(
      'after',
      `
Examples:
  lifeboat-agent join --controller 10.0.0.1 lifeboat1.eyJibGFkZSI6…
  lifeboat-agent join --controller 10.0.0.1 --force --no-start lifeboat1.eyJibGFkZSI6…`,
    )
    .action((token: string | undefined, options: JoinCommand) => join(configPath(program), token, options))
  program
    .command('check')
    .description('list every problem of this blade: programs, configuration, libvirt, BMC, certificate')
    .addHelpText('after', '\nEnds with 0 when all is well, with 1 otherwise.')
    .action(() => check(configPath(program)))
  program.addHelpText(
    'after',
    `
Examples:
  lifeboat-agent check
  lifeboat-agent join --controller 10.0.0.1 lifeboat1.eyJibGFkZSI6…
  journalctl -u lifeboat-agent -f`,
  )
  return program
}

interface JoinCommand {
  readonly token?: string
  readonly controller: string
  readonly force: boolean
  readonly start: boolean
}

function configPath(program: Command): string {
  return program.opts<{ config: string }>().config
}

async function run(path: string): Promise<void> {
  // The level stands in the file; until that is read, what goes wrong with it must be seen.
  const early = createLogger({ level: 'info', format: logFormat() })
  process.exitCode = await runService({
    name: 'lifeboat-agent',
    log: early,
    start: async () => {
      const config = readAgentConfig(path)
      const log = createLogger({ level: config.logLevel, format: logFormat() })
      return createAgent(config, hostSeams(config, log))
    },
  })
}

async function join(path: string, positional: string | undefined, options: JoinCommand): Promise<void> {
  const token = options.token ?? positional
  if (token === undefined) throw new LifeboatError('bad-input', 'no token given: lifeboat-agent join --help')
  const { stateDir } = readAgentConfig(path)
  const { controller, force } = options
  const joined = await joinFleet({ role: 'blade', controller, token, stateDir, force, clock: systemClock })
  console.log(`${joined.blade} has joined the fleet of ${joined.controller}`)
  if (options.start) console.log(await startUnit(UNIT, createCommandRunner(systemClock)))
}

async function check(path: string): Promise<void> {
  const results = await checkBlade(path)
  console.log(renderCheck(results))
  process.exitCode = results.every(result => result.problem === '') ? 0 : 1
}

/** Under systemd each line carries its priority; before a person's eyes, its time. */
function logFormat(): 'journal' | 'console' {
  return process.env.JOURNAL_STREAM === undefined ? 'console' : 'journal'
}

try {
  await createProgram().parseAsync()
} catch (error) {
  console.error(`lifeboat-agent: ${formatErrorChain(error)}`)
  process.exitCode = 1
}
