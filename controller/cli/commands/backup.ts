import type { Command } from 'commander'
import { LifeboatError } from '../../../shared/errors.ts'
import {
  renderBackupPlan,
  renderBackupPolicy,
  renderBackupRun,
  renderPoint,
  renderPoints,
  renderVerdicts,
} from '../backup-text.ts'
import { type CliContext, show } from '../context.ts'
import { followOperations } from '../follow.ts'
import { parseBackupName } from '../point-name.ts'
import { addRestoring } from './backup-restore.ts'

/** `lifeboat backup …`: run, list, show, plan, verify, restore, prune, policy. */
export function addBackupCommands(program: Command, context: CliContext): void {
  const backup = program.command('backup').description('restore points of VMs: make, see, verify, bring back')
  addRunning(backup, context)
  addReading(backup, context)
  addRestoring(backup, context)
  addPolicies(backup, context)
}

interface RunOptions {
  readonly all?: boolean
  readonly blade: string
  readonly force?: boolean
  readonly wait: boolean
}

function addRunning(backup: Command, context: CliContext): void {
  backup
    .command('run [vms...]')
    .description('back up now; each night it happens by itself')
    .option('--all', 'every VM that is to be backed up')
    .option('--blade <name>', 'every such VM of one blade', '')
    .option('--force', 'although the kernel of the blade is known to panic on snapshots')
    .option('--no-wait', 'do not wait for the end')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat backup run mail01 web01\n  lifeboat backup run --all\n  lifeboat backup run --blade blade03 --no-wait',
    )
    .action(async (vms: string[], options: RunOptions) => {
      const request = runRequest(vms, options)
      const { operations } = await context.begin('runBackups', request)
      const latest = options.wait ? await followOperations(context, operations, 'backups') : operations
      show(context, latest, renderBackupRun)
    })
}

function runRequest(vms: readonly string[], { all = false, blade, force = false }: RunOptions) {
  const chosen = [vms.length > 0, blade !== '', all].filter(Boolean).length
  if (chosen === 1) return { vms: [...vms], blade, all, force }
  const text = chosen === 0 ? 'name the VMs to back up' : 'choose one of these'
  throw new LifeboatError('bad-input', `${text}: VM…, or --blade BLADE, or --all`)
}

function addReading(backup: Command, context: CliContext): void {
  backup
    .command('list [vm]')
    .description('restore points, the newest of each VM first')
    .addHelpText('after', '\nExamples:\n  lifeboat backup list\n  lifeboat backup list mail01 --output json')
    .action(async (vm = '') => {
      const { points } = await context.admin().ask('listBackups', { vm })
      show(context, points, all => renderPoints(all, context.now(), vm))
    })
  backup
    .command('show <vm[@point]>')
    .description(
      'one restore point: consistency, pause, what it added, disks; without a point the newest whole one',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat backup show mail01\n  lifeboat backup show mail01@20261128T020512Z',
    )
    .action(async (name: string) => {
      show(context, await context.admin().ask('getBackup', parseBackupName(name)), found =>
        renderPoint(found, context.now()),
      )
    })
  backup
    .command('plan [vm]')
    .description('when each VM is backed up next, how long it takes, and what is overdue')
    .addHelpText('after', '\nExamples:\n  lifeboat backup plan\n  lifeboat backup plan mail01')
    .action(async (vm = '') => {
      const { backups } = await context.admin().ask('planBackups', { vm })
      show(context, backups, planned => renderBackupPlan(planned, context.now()))
    })
}

function addPolicies(backup: Command, context: CliContext): void {
  backup
    .command('prune [vm]')
    .description(
      'drop the restore points that retention no longer keeps; the vault does it each day by itself',
    )
    .option('--dry-run', 'only say what would be dropped, and why the others stay')
    .option('--vault <name>', 'in this vault; otherwise in the one that backups go to', '')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat backup prune --dry-run\n  lifeboat backup prune mail01\n  lifeboat backup prune --vault depot',
    )
    .action(async (vm = '', { dryRun = false, vault }: { dryRun?: boolean; vault: string }) => {
      const { verdicts } = await context.admin().ask('pruneBackups', { vm, dryRun, vault })
      const inEarnest = ['lifeboat backup prune', vm, vault && `--vault ${vault}`].filter(Boolean).join(' ')
      show(context, verdicts, judged => renderVerdicts(judged, context.now(), dryRun ? inEarnest : undefined))
    })
  backup
    .command('policy')
    .description('how VMs are backed up')
    .command('explain <vm>')
    .description('mode, schedule and retention of a VM, and where each comes from')
    .addHelpText('after', '\nExample:\n  lifeboat backup policy explain mail01')
    .action(async (name: string) => {
      show(context, await context.admin().ask('explainBackupPolicy', { name }), renderBackupPolicy)
    })
}
