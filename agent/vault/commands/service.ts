import type { Command } from 'commander'
import { systemClock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { createCommandRunner } from '../../../shared/exec-node.ts'
import { runService } from '../../../shared/lifecycle.ts'
import { createLogger } from '../../../shared/log.ts'
import { renderCheck } from '../../check.ts'
import { joinFleet } from '../../join.ts'
import { startUnit } from '../../unit.ts'
import { createVault, makeVaultDirectory, vaultSeams } from '../bootstrap.ts'
import { checkVaultHost } from '../check.ts'
import { DEFAULT_VAULT_CONFIG_PATH, readVaultConfig, type VaultConfig } from '../config.ts'
import { giveToVaultUser, VAULT_UNIT, writeDropIn } from '../unit-files.ts'

/** `lifeboat-vault run|join|check`: the service of a fleet; the other commands need none. */
export function addServiceCommands(program: Command): void {
  program
    .command('run')
    .description('run in the foreground until SIGTERM; what the unit does')
    .option('-c, --config <file>', 'configuration of the vault', DEFAULT_VAULT_CONFIG_PATH)
    .action(async (options: { config: string }) => run(options.config))
  program
    .command('join')
    .description(
      'trade the token of `lifeboat vault add` for a certificate, make the directory a vault, start it',
    )
    .argument('[token]', 'the token, as printed')
    .option('--token <token>', 'the same, by name')
    .option('--controller <host[:port]>', 'where the controller is')
    .option('--force', 'join anew although this vault has joined before', false)
    .option('--refresh', 'do not join: only take over changed directories of the configuration', false)
    .option('--no-start', 'do not touch systemd')
    .option('-c, --config <file>', 'configuration of the vault', DEFAULT_VAULT_CONFIG_PATH)
    .addHelpText(
      'after',
      `
Another directory than /var/lib/lifeboat/vault: write it into /etc/lifeboat/vault.toml first ([vault] dir = "/srv/vault").
A directory that holds a vault already is taken over with its restore points.

Examples:
  lifeboat-vault join --controller 192.0.2.10 lifeboat1.eyJibGFkZSI6…
  lifeboat-vault join --refresh`,
    )
    .action(async (token: string | undefined, options: JoinCommand) => join(token, options))
  program
    .command('check')
    .description(
      'list every problem of this vault host: configuration, directory and its room, unit, certificate',
    )
    .option('-c, --config <file>', 'configuration of the vault', DEFAULT_VAULT_CONFIG_PATH)
    .addHelpText('after', '\nEnds with 0 when all is well, with 1 otherwise.')
    .action(async (options: { config: string }) => {
      const results = await checkVaultHost(options.config)
      console.log(renderCheck(results))
      process.exitCode = results.every(result => result.problem === '') ? 0 : 1
    })
  addOwnCommand(program)
}

/** No command for people: an error of ownership is healed by a restart. */
function addOwnCommand(program: Command): void {
  program
    .command('own', { hidden: true })
    .description(
      'give the directories of the vault to the user of the service; what the unit does before it starts',
    )
    .option('-c, --config <file>', 'configuration of the vault', DEFAULT_VAULT_CONFIG_PATH)
    .action(async (options: { config: string }) => {
      await giveToVaultUser(readVaultConfig(options.config), createCommandRunner(systemClock))
    })
}

interface JoinCommand {
  readonly config: string
  readonly token?: string
  readonly controller?: string
  readonly force: boolean
  readonly refresh: boolean
  readonly start: boolean
}

async function run(path: string): Promise<void> {
  // The level stands in the file; until that is read, what goes wrong with it must be seen.
  const early = createLogger({ level: 'info', format: logFormat() })
  process.exitCode = await runService({
    name: VAULT_UNIT,
    log: early,
    start: async () => {
      const config = readVaultConfig(path)
      return createVault(config, vaultSeams(createLogger({ level: config.logLevel, format: logFormat() })))
    },
  })
}

async function join(positional: string | undefined, options: JoinCommand): Promise<void> {
  const config = readVaultConfig(options.config)
  if (!options.refresh) await joinAsVault(config, options.token ?? positional, options)
  const run = createCommandRunner(systemClock)
  await makeVaultDirectory(config, vaultSeams(createLogger({ level: 'warn', format: logFormat() }))).catch(
    leaveToService,
  )
  await giveToVaultUser(config, run)
  if (!options.start) return
  writeDropIn(config)
  console.log(await startUnit(VAULT_UNIT, run))
}

/** The running service has the vault: then there is one, and nothing to make. */
function leaveToService(error: unknown): void {
  if (!(error instanceof LifeboatError) || error.code !== 'busy') throw error
}

async function joinAsVault(
  { stateDir }: VaultConfig,
  token: string | undefined,
  { controller, force }: JoinCommand,
): Promise<void> {
  if (token === undefined || controller === undefined) {
    throw new LifeboatError(
      'bad-input',
      'a token and --controller are needed; `lifeboat vault add` prints both: lifeboat-vault join --help',
    )
  }
  const joined = await joinFleet({ role: 'vault', controller, token, stateDir, force, clock: systemClock })
  console.log(`${joined.blade} has joined the fleet of ${joined.controller}`)
}

/** Under systemd each line carries its priority; before a person's eyes, its time. */
function logFormat(): 'journal' | 'console' {
  return process.env.JOURNAL_STREAM === undefined ? 'console' : 'journal'
}
