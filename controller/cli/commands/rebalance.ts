import { type Command, Option } from 'commander'
import type { Rebalance } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { type CliContext, show } from '../context.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { followOperation, isRunning } from '../follow.ts'
import { renderPlan } from '../plan-text.ts'
import { renderSection } from '../render.ts'
import { renderOperation } from './operation.ts'

interface Options {
  readonly plan?: boolean
  readonly apply?: boolean
  readonly wait: boolean
}

/** `lifeboat rebalance` */
export function addRebalanceCommand(program: Command, context: CliContext): void {
  program
    .command('rebalance')
    .description(
      'the fewest moves that restore N+1, or lower the highest load; Lifeboat never does it by itself',
    )
    .addOption(new Option('--plan', 'only show the moves').conflicts('apply'))
    .option('--apply', 'carry them out')
    .option('--no-wait', 'do not wait for the end')
    .addHelpText(
      'after',
      '\nA VM that was moved within `rebalance_cooldown_h` is left alone.\n' +
        'With --plan it ends with 0 if any one blade could fail afterwards, with 2 if VMs of one would find\nno place.\n\n' +
        'Examples:\n  lifeboat rebalance --plan\n  lifeboat rebalance --apply',
    )
    .action(async (options: Options) => {
      if (options.apply) await apply(context, options.wait)
      else if (options.plan) await planOnly(context)
      else {
        throw new LifeboatError(
          'bad-input',
          'say --plan to see the moves, or --apply to carry them out; for example: lifeboat rebalance --plan',
        )
      }
    })
}

async function planOnly(context: CliContext): Promise<void> {
  const answer = await context.admin().ask('planRebalance', {})
  show(context, answer, renderRebalance)
  if (answer.plan?.nPlusOne?.kept === false) context.exitWith(EXIT_CODES.doesNotFit)
}

async function apply(context: CliContext, wait: boolean): Promise<void> {
  const answer = await context.begin('applyRebalance', {})
  const { operation } = answer
  if (operation === undefined) return show(context, answer, renderRebalance)
  if (!context.json()) context.print(renderRebalance(answer))
  const latest = wait ? await followOperation(context, operation) : operation
  if (wait && isRunning(latest) && !context.json()) return
  show(context, { ...answer, operation: latest }, () => `\n${renderOperation(latest)}`)
}

function renderRebalance({ plan, text, leftAlone }: Rebalance): string {
  const moves = plan?.moves.length ?? 0
  return [
    `${text.charAt(0).toUpperCase()}${text.slice(1)}.`,
    ...(plan === undefined || moves === 0 ? [] : ['', renderPlan(plan)]),
    // In the words of `status`: no move helps, but something may.
    ...(moves === 0 && plan?.nPlusOne?.kept === false ? ['', 'What would help: lifeboat capacity'] : []),
    ...renderSection('Left alone:', leftAlone),
  ].join('\n')
}
