import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { LifeboatError } from '../../../shared/errors.ts'
import {
  readSimulationRecord,
  type SimulationAnswer,
  type SimulationRequest,
  simulationRecordPath,
} from '../../../shared/simulation.ts'
import { type CliContext, show } from '../context.ts'

/** Faults for the simulated chassis that `npm start` runs; there is no such verb for real blades. */
export function addSimulationCommands(program: Command, context: CliContext): void {
  const simulation = program
    .command('sim')
    .description('break and mend things in the simulated chassis (npm start)')
  const verbs = [
    { action: 'fail', text: 'break something' },
    { action: 'heal', text: 'mend it again' },
  ] as const
  for (const { action, text } of verbs) {
    simulation
      .command(`${action} <blade-or-vault> <what>`)
      .description(
        `${text}: mirror, disk-errors, mirror-unreadable, nic-a, nic-b, psu (of the chassis; psu-2 names one), bmc, psu-unreadable; vault (of depot)`,
      )
      .addHelpText(
        'after',
        `\nExamples:\n  lifeboat sim ${action} blade05 psu\n  lifeboat sim ${action} blade03 mirror\n  lifeboat sim ${action} depot vault`,
      )
      .action(async (blade: string, what: string) => {
        const answer = await askSimulation(context, { action, blade, what })
        if (!answer.ok) throw new LifeboatError(answer.code, answer.text)
        show(context, answer, found => found.text)
      })
  }
}

function askSimulation(context: CliContext, request: SimulationRequest): Promise<SimulationAnswer> {
  const record = readSimulationRecord(simulationRecordPath(context.env))
  if (record === undefined)
    throw new LifeboatError(
      'unavailable',
      'no simulated chassis is running; start one in another terminal: npm start',
    )
  return new Promise((resolve, reject) => {
    const socket = createConnection(record.controlSocket)
    socket.once('error', error =>
      reject(new LifeboatError('unavailable', 'the simulated chassis does not answer', { cause: error })),
    )
    createInterface(socket).once('line', line => {
      socket.end()
      resolve(JSON.parse(line) as SimulationAnswer)
    })
    socket.write(`${JSON.stringify(request)}\n`)
  })
}
