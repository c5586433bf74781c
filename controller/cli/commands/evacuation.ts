import type { Command } from 'commander'
import { type CliContext, show } from '../context.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { followOperation, isRunning } from '../follow.ts'
import { renderPlan } from '../plan-text.ts'
import { renderOperation } from './operation.ts'

/** `lifeboat evacuate BLADE` and `lifeboat plan show` */
export function addEvacuationCommands(program: Command, context: CliContext): void {
  program
    .command('evacuate <blade>')
    .description('move every VM off a blade; --plan shows what would happen and moves nothing')
    .option('--plan', 'only show the plan')
    .option('--no-wait', 'do not wait for the end')
    .addHelpText(
      'after',
      '\nWith --plan it ends with 0 if the blade would be empty afterwards, with 2 if a VM would stay on it.\n\n' +
        'Examples:\n  lifeboat evacuate blade03 --plan\n  lifeboat evacuate blade03',
    )
    .action(async (blade: string, options: { plan?: boolean; wait: boolean }) => {
      if (options.plan) await planOnly(context, blade)
      else await evacuate(context, blade, options.wait)
    })
  const plan = program.command('plan').description('stored answers of the placement')
  plan
    .command('show [plan]')
    .description('a stored plan, the newest by default')
    .addHelpText('after', '\nExamples:\n  lifeboat plan show\n  lifeboat plan show p3 --output json')
    .action(async (id: string | undefined) => {
      show(context, await context.admin().ask('getPlan', { id: id ?? '' }), renderPlan)
    })
}

async function planOnly(context: CliContext, blade: string): Promise<void> {
  const plan = await context.admin().ask('planEvacuation', { name: blade })
  show(context, plan, renderPlan)
  if (plan.unplaced.length > 0) context.exitWith(EXIT_CODES.doesNotFit)
}

async function evacuate(context: CliContext, blade: string, wait: boolean): Promise<void> {
  const { plan, operation } = await context.begin('evacuate', { blade })
  if (plan !== undefined && !context.json()) context.print(renderPlan(plan))
  if (operation === undefined) return
  const latest = wait ? await followOperation(context, operation) : operation
  if (wait && isRunning(latest) && !context.json()) return
  show(context, latest, found => `\n${renderOperation(found)}`)
  // On standard error, so that JSON stays JSON.
  context.note(`${blade} is cordoned. When it shall take VMs again: lifeboat blade uncordon ${blade}`)
  if (latest.state === 'done' && (plan?.unplaced.length ?? 0) > 0) context.exitWith(EXIT_CODES.failed)
}
