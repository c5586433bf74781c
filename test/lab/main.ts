import { Argument, Command, InvalidArgumentError } from 'commander'
import { down } from './down.ts'
import { describeError, LabError } from './errors.ts'
import { FAULT_MEANINGS, fail, heal } from './faults.ts'
import { DEPOT, hostNamed } from './hosts.ts'
import { killUnit, openLab } from './lab.ts'
import { requireLabRecord } from './place.ts'
import { POWER_ACTIONS, type PowerAction, power } from './power.ts'
import { say } from './say.ts'
import { execAttached } from './ssh.ts'
import { describeStatus } from './status.ts'
import { exclusively } from './uml/process-record.ts'
import { type UpOptions, up } from './up.ts'

const program = new Command('lab')
  .description(
    'Real blades to test on: User-Mode Linux kernels with md, LVM, bonding, libvirt and a chassis BMC.',
  )
  .enablePositionalOptions()

program
  .command('up')
  .description(
    'build the image if needed, boot the blades and the depot, install and enrol the product, start the guests',
  )
  .option('--blades <count>', 'number of blades, 1 to 9', parseCount, 3)
  .option('--deb <file>', 'package to install, instead of building one')
  .option('--rebuild', 'build the image again')
  .option('--fresh', 'start from new disks')
  .option('--no-product', 'everything but the product; the guests are started by virsh alone')
  .addHelpText(
    'after',
    examples('up', 'up --blades 2 --fresh', 'up --deb dist/lifeboat_0.1.0_amd64.deb', 'up --no-product'),
  )
  .action((options: UpOptions) => exclusively(() => up(options)))

program
  .command('down')
  .description('end everything the lab runs; its disks stay, so that the next `up` goes on with them')
  .option('--all', 'remove the disks too (never the image)')
  .addHelpText('after', examples('down', 'down --all'))
  .action((options: { all?: boolean }) => exclusively(() => down(options)))

program
  .command('status')
  .description('what runs, as the lab sees it')
  .addHelpText('after', examples('status'))
  .action(async () => console.log(await describeStatus()))

program
  .command('exec <host> <command...>')
  .description('run a command on a host; its streams and exit code are passed through')
  .passThroughOptions()
  .addHelpText('after', examples('exec blade01 -- virsh list --all', "exec blade01 -- sh -c 'dmesg | tail'"))
  .action(async (host: string, command: string[]) => {
    // commander leaves the `--` in when the words after a host are passed through
    process.exitCode = await execAttached(labHost(host), command[0] === '--' ? command.slice(1) : command)
  })

program
  .command('cli [args...]')
  .description('run `lifeboat ARGS…` on the depot; its streams and exit code are passed through')
  .passThroughOptions()
  .allowUnknownOption()
  .helpOption(false)
  .action(async (args: string[]) => {
    process.exitCode = await execAttached(DEPOT, ['lifeboat', ...args])
  })

const faultHelp = `\nFaults:\n${FAULT_MEANINGS.map(([name, meaning]) => `  ${name.padEnd(12)} ${meaning}`).join('\n')}\n`

program
  .command('fail <blade> <fault>')
  .description('break a part')
  .addHelpText('after', faultHelp + examples('fail blade01 mirror', 'fail blade01 psu-2'))
  .action(async (blade: string, fault: string) => {
    await fail(labHost(blade), fault)
    say(`${blade}: ${fault} failed`)
  })

program
  .command('heal <blade> <fault>')
  .description('mend what `fail` broke, and wait for a resync')
  .addHelpText('after', faultHelp + examples('heal blade01 mirror'))
  .action(async (blade: string, fault: string) => {
    await heal(labHost(blade), fault)
    say(`${blade}: ${fault} healed`)
  })

program
  .command('power <host>')
  .addArgument(new Argument('<action>').choices(POWER_ACTIONS))
  .description('off: orderly; cut: the current is gone at once; on: start again from the same disks')
  .addHelpText('after', examples('power blade02 cut', 'power blade02 on'))
  .action(async (host: string, action: PowerAction) => {
    await power(labHost(host), action)
    say(`${host}: power ${action}`)
  })

program
  .command('agent <blade>')
  .addArgument(new Argument('<action>').choices(['kill']))
  .description('SIGKILL to the main process of the agent')
  .addHelpText('after', examples('agent blade01 kill'))
  .action((blade: string) => killUnit(labHost(blade), 'lifeboat-agent'))

program
  .command('controller')
  .addArgument(new Argument('<action>').choices(['kill']))
  .description('SIGKILL to the main process of the controller')
  .addHelpText('after', examples('controller kill'))
  .action(() => killUnit(DEPOT, 'lifeboat-controller'))

program
  .command('counters <guest...>')
  .description('what running guests wrote and printed; exit 1 when a step was lost or doubled')
  .addHelpText('after', examples('counters mail01 web01'))
  .action(async (guests: string[]) => {
    const lab = openLab()
    for (const guest of guests) {
      const counters = await lab.guestCounters(guest)
      console.log(JSON.stringify({ guest, ...counters }))
      const faults = counters.volumes.reduce((sum, volume) => sum + volume.badCount, 0)
      if (faults + counters.serial.doubled.length + counters.serial.missing.length > 0) process.exitCode = 1
    }
  })

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof LabError)) throw error
  process.stderr.write(`lab: ${describeError(error)}\n`)
  process.exitCode = 1
}

function labHost(name: string) {
  return hostNamed(name, requireLabRecord().blades)
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  npm run lab -- ${line}`).join('\n')}`
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 9) throw new InvalidArgumentError('1 to 9')
  return count
}
