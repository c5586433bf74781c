import type { Command } from 'commander'
import type { Explanation } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { type CliContext, show } from '../context.ts'
import { renderSection } from '../render.ts'

/** `lifeboat why VM` and `lifeboat why-not VM BLADE` */
export function addWhyCommands(program: Command, context: CliContext): void {
  program
    .command('why <vm>')
    .description('why a VM is where it is: everything that was decided for it')
    .addHelpText('after', '\nExample:\n  lifeboat why mail01')
    .action(async (name: string) => {
      show(context, await context.admin().ask('why', { name }), answer =>
        [
          `${answer.vm} is on ${answer.blade || 'no blade'}.`,
          ...renderSection('What was decided, newest last (times in UTC):', answer.story),
          ...renderSection('Why it could not move now:', reasonsOf(answer)),
        ].join('\n'),
      )
    })
  program
    .command('why-not <vm> <blade>')
    .description('why a VM could not go to a blade')
    .addHelpText('after', '\nExample:\n  lifeboat why-not mail01 blade07')
    .action(async (vm: string, blade: string) => {
      show(context, await context.admin().ask('whyNot', { vm, blade }), answer =>
        answer.possible
          ? `${answer.vm} could go to ${answer.blade}: lifeboat vm migrate ${answer.vm} --to ${answer.blade}`
          : [
              `${answer.vm} cannot go to ${answer.blade}:`,
              ...reasonsOf(answer).map(line => `  ${line}`),
            ].join('\n'),
      )
    })
}

function reasonsOf(answer: Explanation): string[] {
  return answer.reasons.map(reason => `${reason.code}: ${reason.text}`)
}
