import type { Command } from 'commander'
import type { Automation } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { type CliContext, show } from '../context.ts'
import { renderTime } from '../render.ts'

/** `lifeboat automation status|pause|resume` */
export function addAutomationCommands(program: Command, context: CliContext): void {
  const automation = program.command('automation').description('what Lifeboat does by itself')
  automation
    .command('status')
    .description('is it paused, by whom, why')
    .addHelpText('after', '\nExample:\n  lifeboat automation status')
    .action(async () => show(context, await context.admin().ask('getAutomation', {}), renderAutomation))
  const verbs = [
    {
      verb: 'pause',
      paused: true,
      text: 'stop all automatic action; alerts go on',
      why: 'new switch tonight',
    },
    { verb: 'resume', paused: false, text: 'allow automatic action again', why: 'the switch is in' },
  ]
  for (const { verb, paused, text, why } of verbs) {
    automation
      .command(verb)
      .description(text)
      .option('--reason <text>', 'shown in `lifeboat status`', '')
      .addHelpText('after', `\nExample:\n  lifeboat automation ${verb} --reason "${why}"`)
      .action(async (options: { reason: string }) => {
        show(
          context,
          await context.admin().ask('setAutomation', { paused, reason: options.reason }),
          renderAutomation,
        )
      })
  }
}

/** One line: on, or paused by whom, why and since when. */
export function renderAutomation(automation: Automation | undefined): string {
  if (!automation?.paused) return 'Automation is on.'
  const why = automation.reason === '' ? '' : `: ${automation.reason}`
  return `Automation is PAUSED since ${renderTime(automation.since)} by ${automation.pausedBy}${why}. Go on: lifeboat automation resume`
}
