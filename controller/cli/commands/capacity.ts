import type { Command } from 'commander'
import { renderCapacity, renderLossInFull } from '../capacity-text.ts'
import { type CliContext, show } from '../context.ts'

/** `lifeboat capacity` */
export function addCapacityCommand(program: Command, context: CliContext): void {
  program
    .command('capacity')
    .description('the room that is left, and what the fleet could lose: each blade, chassis, feed and switch')
    .option('--blade <blade>', 'only what takes that blade with it, VM by VM', '')
    .addHelpText(
      'after',
      '\nThe times are those of restores from the vault, at the rates that were measured.\n\nExamples:\n  lifeboat capacity\n  lifeboat capacity --blade blade03\n  lifeboat capacity --output json',
    )
    .action(async ({ blade }: { blade: string }) => {
      const report = await context.admin().ask('getCapacity', { blade })
      show(context, report, found =>
        blade === ''
          ? renderCapacity(found, context.alarming)
          : found.losses.map(loss => renderLossInFull(loss, found.nowAt, context.alarming)).join('\n\n'),
      )
    })
}
