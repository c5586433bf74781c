import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { LifeboatError } from '../../../shared/errors.ts'
import { type CliContext, show } from '../context.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { collect, wholeNumber } from '../options.ts'

interface SimulateOptions {
  readonly format: 'lifeboat' | 'ganeti'
  readonly maxVms?: number
  readonly evacuate: readonly string[]
}

/** `lifeboat simulate FILE`: needs no controller, and loads nothing that talks to one. */
export function addSimulateCommand(program: Command, context: CliContext): void {
  program
    .command('simulate <file>')
    .description('what Lifeboat would do for a fleet in a file (- is standard input); needs no controller')
    .addOption(
      new Option('--format <format>', "lifeboat's own, or the text format of Ganeti's htools")
        .choices(['lifeboat', 'ganeti'])
        .default('lifeboat'),
    )
    .option('--max-vms <count>', 'ganeti: VMs a blade may have; no limit otherwise', wholeNumber)
    .option(
      '--evacuate <blade>',
      'only plan to empty it; again for more, which are emptied together',
      collect,
      [],
    )
    .addHelpText(
      'after',
      '\nEnds with 0 if every VM finds a place, with 2 if not. With 2 also if the file is wrong: then\nstandard output is empty.\n' +
        'The keys of the file: controller/simulate/README.md, installed below /usr/share/doc/lifeboat.\n' +
        '\nExamples:\n  lifeboat simulate night.json\n  lifeboat simulate fleet.json --evacuate blade03\n' +
        '  lifeboat simulate cluster.data --format ganeti --evacuate node1 --output json',
    )
    .action(async (file: string, options: SimulateOptions) => {
      if (options.maxVms !== undefined && options.format !== 'ganeti') {
        throw new LifeboatError(
          'bad-input',
          '--max-vms goes with --format ganeti: a fleet file says it itself',
        )
      }
      const { format, maxVms, evacuate } = options
      const input = { text: readInput(file), format, ...(maxVms === undefined ? {} : { maxVms }) }
      const allPlaced =
        evacuate.length > 0 ? await printPlan(context, input, evacuate) : await printTimeline(context, input)
      if (!allPlaced) context.exitWith(EXIT_CODES.doesNotFit)
    })
}

type Input = { readonly text: string; readonly format: 'lifeboat' | 'ganeti'; readonly maxVms?: number }

async function printPlan(context: CliContext, input: Input, blades: readonly string[]): Promise<boolean> {
  const { simulateEvacuation } = await import('../../simulate/simulate.ts')
  const { plan, allPlaced } = await simulateEvacuation(input, blades)
  const { renderPlan } = await import('../plan-text.ts')
  show(context, plan, renderPlan)
  return allPlaced
}

async function printTimeline(context: CliContext, input: Input): Promise<boolean> {
  const { simulateTimeline } = await import('../../simulate/simulate.ts')
  const answer = await simulateTimeline(input)
  const { renderTimeline } = await import('../simulate-text.ts')
  show(context, answer, renderTimeline)
  return answer.allPlaced
}

function readInput(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new LifeboatError('bad-input', `${file === '-' ? 'standard input' : file} cannot be read`, {
      cause: error,
    })
  }
}
