import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { parseSimFault, SIM_FAULTS } from '../../agent/sim/faults.ts'
import { systemClock } from '../../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import {
  readSimulationRecord,
  removeSimulationRecord,
  simulationRecordPath,
  writeSimulationRecord,
} from '../../shared/simulation.ts'
import { formatLine, type LoggedLine } from '../fakes/recording-logger.ts'
import { type SimulationControl, serveSimulationControl } from './control-socket.ts'
import { createSimFleet, type SimFleet } from './fleet.ts'
import { thirtyVms } from './roster.ts'
import { playStory } from './story.ts'

const BLADES = 10
/** Long enough to read the alert before the moves begin; the default of 60 s is for real blades. */
const HOLD_MS = 6_000
/** A move of 2 MiB takes a second or two: slow enough to be watched. */
const BYTES_PER_SECOND = 1_500_000

const startedAt = systemClock.now()

function say(text: string): void {
  const seconds = ((systemClock.now() - startedAt) / 1000).toFixed(1).padStart(6)
  const margin = `${seconds} s  `
  const width = (process.stdout.columns ?? Number.POSITIVE_INFINITY) - margin.length
  const rows = text.split('\n').flatMap(line => wrap(line, width))
  process.stdout.write(`${margin}${rows.join(`\n${' '.repeat(margin.length)}`)}\n`)
}

/** Breaks at words, so that on a terminal the times stand alone at the left. A longer word keeps a row of its own. */
function wrap(line: string, width: number): string[] {
  const rows: string[] = []
  let rest = line
  while (rest.length > width) {
    const cut = rest.lastIndexOf(' ', width - 1)
    if (cut <= 0) break
    rows.push(rest.slice(0, cut))
    rest = rest.slice(cut + 1)
  }
  return [...rows, rest]
}

/**
 * A logged line as the story tells it; undefined for what is in the log file only. Told is what the controller does,
 * and every warning. The cause of a move stands at its evacuation and is not repeated for each VM.
 */
function told(who: string, line: LoggedLine): string | undefined {
  if (who === 'controller' && line.level === 'info') {
    return line.message.replace(/^(vm \S+: running => moving \([^)]*\)).*/, '$1')
  }
  if (line.level !== 'warn' && line.level !== 'error') return undefined
  return who === 'controller' ? line.message : `${who}: ${formatLine(line)}`
}

const NO_ALERT_YET = 'others of the chassis still read its power supplies, and the alert comes when none does'

function createControl(fleet: SimFleet): SimulationControl {
  return async ({ action, blade: name, what }) => {
    const broken = action === 'fail'
    if (what === 'agent') {
      const agent = fleet.agent(name)
      if (broken) await agent.kill()
      else if (!agent.isRunning) await agent.start()
      return `${name}: the agent ${broken ? 'was killed' : 'runs'}`
    }
    if (name === fleet.vault().name) return await setVault(fleet, broken, what)
    const blade = fleet.blade(name)
    const fault = parseSimFault(what)
    if (broken) blade.fail(fault)
    else blade.heal(fault)
    say(`--- ${name}: ${fault} ${broken ? 'fails' : 'is mended'} ---`)
    return broken
      ? `${name}: ${SIM_FAULTS[fault]}; ${fault === 'bmc' ? NO_ALERT_YET : 'the alert comes within half a minute'}: lifeboat alert list`
      : `${name}: ${what} is mended`
  }
}

async function setVault(fleet: SimFleet, broken: boolean, what: string): Promise<string> {
  const vault = fleet.vault()
  if (what !== 'vault') throw new LifeboatError('bad-input', `of ${vault.name} only 'vault' itself can fail`)
  if (broken) await vault.stop()
  else if (!vault.isRunning) await vault.start()
  say(`--- ${vault.name}: the vault ${broken ? 'is away' : 'is back'} ---`)
  return broken
    ? `${vault.name} is away; backups and restores fail until it is back: lifeboat vault status`
    : `${vault.name} is back`
}

function refuseSecond(recordPath: string): void {
  const record = readSimulationRecord(recordPath)
  if (record === undefined) return
  throw new LifeboatError(
    'already-exists',
    `a simulated chassis runs already (process ${record.pid}): use it with npx lifeboat status, or end it first`,
  )
}

async function stayUp(fleet: SimFleet, recordPath: string, signal: AbortSignal): Promise<void> {
  const controlSocket = join(fleet.dir, 'control.sock')
  const control = await serveSimulationControl(controlSocket, createControl(fleet))
  writeSimulationRecord(recordPath, { pid: process.pid, adminSocket: fleet.adminSocket, controlSocket })
  try {
    say('the fleet stays up; in another terminal:')
    for (const command of [
      'status',
      'sim fail blade05 psu',
      'sim fail blade07 nic-a',
      'why web03',
      'backup run web01',
      'backup verify web01 --boot',
      'backup restore web01 --name web01-copy',
      '--help',
    ]) {
      say(`    npx lifeboat ${command}`)
    }
    say(`everything that is logged: ${join(fleet.dir, 'log')}   Ctrl-C ends it`)
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    removeSimulationRecord(recordPath)
    control.close()
  }
}

async function run(options: { exit: boolean }, signal: AbortSignal): Promise<number> {
  const recordPath = simulationRecordPath(process.env)
  if (!options.exit) refuseSecond(recordPath)
  let logFile = ''
  let isTelling = false
  say(`bringing up the controller and ${BLADES} agents over simulated blades`)
  const fleet = await createSimFleet({
    blades: BLADES,
    vault: true,
    configure: config => ({ ...config, evacuation: { ...config.evacuation, holdMs: HOLD_MS } }),
    onLine: (who, line) => {
      if (logFile !== '')
        appendFileSync(logFile, `${who} ${line.level} ${line.subsystem}: ${formatLine(line)}\n`)
      const text = isTelling ? told(who, line) : undefined
      if (text !== undefined) say(text)
    },
  })
  try {
    logFile = join(fleet.dir, 'log')
    for (const name of fleet.bladeNames) fleet.blade(name).knobs.bytesPerSecond = BYTES_PER_SECOND
    // Ten blades that join and thirty VMs that appear are no story.
    const tell = (line: string) => {
      isTelling = true
      say(line)
    }
    const ended = new Promise<undefined>(resolve =>
      signal.addEventListener('abort', () => resolve(undefined)),
    )
    const problems = await Promise.race([playStory(fleet, thirtyVms(), tell), ended])
    if (problems === undefined || signal.aborted) return 130
    for (const problem of problems) say(`WRONG: ${problem}`)
    if (problems.length === 0)
      say('every VM runs where the plan said, on one blade, and no step was lost or doubled')
    if (!options.exit) await stayUp(fleet, recordPath, signal)
    return problems.length === 0 ? 0 : 1
  } finally {
    isTelling = false
    logFile = ''
    await fleet.close()
  }
}

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // A second one is impatience: the temporary directory is left behind then.
    if (interrupted.signal.aborted) process.exit(130)
    interrupted.abort()
  })
}

await new Command('npm start --')
  .description(
    'A chassis of ten simulated blades with the real controller and real agents, and a story played on it.',
  )
  .option('--exit', 'end after the story, with status 0 only if every VM runs where the plan said', false)
  .action(async (options: { exit: boolean }) => {
    try {
      process.exitCode = await run(options, interrupted.signal)
    } catch (error) {
      process.stderr.write(`${formatErrorChain(error)}\n`)
      process.exitCode = 1
    }
  })
  .parseAsync()
