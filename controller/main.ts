#!/usr/bin/env node
import { Command } from 'commander'
import { systemClock } from '../shared/clock.ts'
import { errorCode, formatErrorChain } from '../shared/errors.ts'
import { createCommandRunner } from '../shared/exec-node.ts'
import { runService } from '../shared/lifecycle.ts'
import { createLogger } from '../shared/log.ts'
import { VERSION } from '../shared/version.ts'
import { createController } from './bootstrap.ts'
import { DEFAULT_CONFIG_PATH, readControllerConfig } from './config.ts'
import { checkController, initController, writeAdminIdentity } from './enrolment/init.ts'

/** sysexits.h EX_CONFIG: systemd does not restart what no restart can heal. */
const EXIT_CONFIG = 78

const program = new Command('lifeboat-controller')
  .description('Decides what no single blade can: which blade takes which VM.')
  .version(VERSION)
  .option('--config <file>', 'configuration', DEFAULT_CONFIG_PATH)
  .addHelpText(
    'after',
    `
Examples:
  lifeboat-controller init                          make this host the controller and start it
  lifeboat-controller init --address 192.0.2.10     … when agents reach it by that address
  lifeboat-controller check                         what stands against a start
  lifeboat-controller admin-certificate anna --out ./anna
                                                    let anna use the lifeboat command from another host
  lifeboat-controller run                           what the unit runs`,
  )

const configPath = () => program.opts<{ config: string }>().config
const say = (text: string) => process.stdout.write(`${text}\n`)

program
  .command('init')
  .description('make the CA, the database and the configuration where they are missing, and start the unit')
  .option('--address <host...>', 'names and addresses of this host as agents see them')
  .option('--no-start', 'do not touch systemd')
  .action(async (options: { address?: string[]; start: boolean }) => {
    const { done, addresses } = await initController(
      { configPath: configPath(), addresses: options.address ?? [], start: options.start },
      createCommandRunner(systemClock),
      systemClock,
    )
    if (done.length === 0) say('Everything is there already; nothing was changed.')
    for (const line of done) say(line)
    say(`Agents reach this controller at: ${addresses.join(', ')}`)
    say('Next: lifeboat blade add BLADE')
  })

program
  .command('run')
  .description('run in the foreground until SIGTERM')
  .action(async () => {
    const config = readControllerConfig(configPath())
    const format = process.stdout.isTTY ? 'console' : 'journal'
    const log = createLogger({ level: config.logLevel, format })
    process.exitCode = await runService({
      name: 'lifeboat-controller',
      log,
      start: () => createController(config, { log }),
    })
  })

program
  .command('check')
  .description('list everything that stands against a start; ends with 0 when nothing does')
  .action(() => {
    const problems = checkController(configPath())
    if (problems.length === 0) say('Nothing stands against a start.')
    for (const problem of problems) process.stderr.write(`${problem}\n`)
    process.exitCode = problems.length === 0 ? 0 : 1
  })

program
  .command('admin-certificate <name>')
  .description('make a certificate of role admin for the lifeboat command on another host')
  .requiredOption('--out <directory>', 'where certificate.pem, key.pem and authority.pem go')
  .action(async (name: string, options: { out: string }) => {
    await writeAdminIdentity(readControllerConfig(configPath()).stateDir, name, options.out, systemClock)
    say(
      `Wrote ${options.out}; put it into ~/.config/lifeboat of ${name}, then: lifeboat --controller HOST status`,
    )
  })

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`lifeboat-controller: ${formatErrorChain(error)}\n`)
  process.exitCode = errorCode(error) === 'bad-config' ? EXIT_CONFIG : 1
}
