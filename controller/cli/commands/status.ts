import type { Command } from 'commander'
import type { Status } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { renderBackupOverview } from '../backup-text.ts'
import { type CliContext, show } from '../context.ts'
import { renderNPlusOne, renderSection } from '../render.ts'
import { renderAlerts } from './alert.ts'
import { renderAutomation } from './automation.ts'
import { renderOperations } from './operation.ts'

/** `lifeboat status` */
export function addStatusCommand(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('the fleet on one page')
    .addHelpText('after', '\nExamples:\n  lifeboat status\n  lifeboat status --output json')
    .action(async () =>
      show(context, await context.admin().ask('getStatus', {}), answer => renderStatus(answer)),
    )
}

function renderStatus(status: Status): string {
  return [
    `Blades: ${status.blades}, ${status.bladesUp} up, ${status.bladesHealthy} healthy. VMs: ${status.vms}, ${status.vmsRunning} running.`,
    renderAutomation(status.automation),
    ...(status.nPlusOne === undefined ? [] : [renderNPlusOne(status.nPlusOne)]),
    ...(status.nPlusOne?.kept === false ? ['  What would help: lifeboat capacity'] : []),
    ...renderBackupOverview(status.backup),
    ...renderSection('Held back:', status.heldBack),
    '',
    renderAlerts(status.alerts, status.nowAt),
    '',
    renderOperations(status.operations),
  ].join('\n')
}
