import type { Command } from 'commander'
import type { Operation } from '../../../proto/gen/lifeboat/v1/admin.ts'
import type { PointSummary } from '../../../proto/gen/lifeboat/v1/vault.ts'
import { formatBytes, HOUR_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { type CliContext, show } from '../context.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { formatBackupName, parseBackupName } from '../point-name.ts'
import { finishOperation } from './operation.ts'

/** The vault reads a disk of a terabyte in some hours; Ctrl-C ends the waiting. */
const CHECK_LIMIT_MS = 24 * HOUR_MS

/** `lifeboat backup verify` and `lifeboat backup restore`: what proves a restore point, and what it is for. */
export function addRestoring(backup: Command, context: CliContext): void {
  addVerify(backup, context)
  addRestore(backup, context)
}

function addVerify(backup: Command, context: CliContext): void {
  backup
    .command('verify <vm[@point]>')
    .description(
      'hash every chunk of a restore point again, in the vault; with --boot restore it and see it run',
    )
    .option('--boot', 'restore it under another name without network, watch it boot, remove it again')
    .option('--to <blade>', 'where to boot it; otherwise the best blade', '')
    .option('--no-wait', 'with --boot: do not wait for the end')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat backup verify mail01\n  lifeboat backup verify mail01@20261128T020512Z\n  lifeboat backup verify mail01 --boot --to blade04',
    )
    .action(async (name: string, options: { boot?: boolean; to: string; wait: boolean }) => {
      const backupName = parseBackupName(name)
      if (options.boot !== true) {
        if (options.to !== '') throw new LifeboatError('bad-input', '--to goes with --boot')
        if (!options.wait) throw new LifeboatError('bad-input', '--no-wait goes with --boot')
        await check(context, name)
        return
      }
      const request = { backup: backupName, to: options.to }
      await finishOperation(context, await context.begin('testBackup', request), options.wait)
    })
}

/** Asks first which one it is, so that the waiting has a name and a size. */
async function check(context: CliContext, name: string): Promise<void> {
  const { summary } = await context.admin().ask('getBackup', parseBackupName(name))
  if (summary === undefined) throw new LifeboatError('not-found', `the vault told nothing of ${name}`)
  const point = { vm: summary.vmId, point: summary.point }
  context.progress(
    `hashing ${formatBackupName(summary)} in the vault`,
    `(${formatBytes(summary.sizeBytes)} of disks)`,
  )
  const limits = { timeoutMs: CHECK_LIMIT_MS, signal: context.interrupted }
  const checked = await context.admin().ask('checkBackup', point, limits)
  context.exitWith(checked.state === 'whole' ? EXIT_CODES.done : EXIT_CODES.failed)
  show(context, checked, renderChecked)
}

function renderChecked(point: PointSummary): string {
  const name = formatBackupName(point)
  if (point.state === 'whole') {
    return `${name} is whole: every chunk was read and hashed. Does it boot? lifeboat backup verify ${name} --boot`
  }
  return `${name} is ${point.state}: ${point.stateText}\nThe others: lifeboat backup list ${point.vm}; a new one brings damaged chunks again: lifeboat backup run ${point.vm}`
}

interface RestoreOptions {
  readonly to: string
  readonly name?: string
  readonly disk: string
  readonly start?: boolean
  readonly force?: boolean
  readonly wait: boolean
}

function addRestore(backup: Command, context: CliContext): void {
  backup
    .command('restore <vm[@point]>')
    .description(
      'write a restore point to new volumes and define the VM; without a point the newest whole one',
    )
    .option('--to <blade>', 'where; otherwise the best blade', '')
    .option('--name <name>', 'as another VM beside the old one, with a fresh id and MAC addresses')
    .option('--disk <target>', 'only this disk (vda), as a volume, without a VM', '')
    .option('--start', 'start it at the end')
    .option('--force', 'although a placement rule forbids it')
    .option('--no-wait', 'do not wait for the end')
    .addHelpText(
      'after',
      `
The VM is defined only after everything was written, read back and hashed. A VM of that name that
still exists is not touched: the restore is refused.

Examples:
  lifeboat backup restore mail01 --start
  lifeboat backup restore mail01@20261128T020512Z --to blade04 --name mail01-copy
  lifeboat backup restore mail01 --disk vdb`,
    )
    .action(async (name: string, options: RestoreOptions) => {
      if (options.name === '') throw new LifeboatError('bad-input', '--name needs a name')
      const request = {
        backup: parseBackupName(name),
        to: options.to,
        newName: options.name ?? '',
        onlyDisk: options.disk,
        start: options.start ?? false,
        overrideRules: options.force ?? false,
      }
      if (request.onlyDisk !== '' && (request.newName !== '' || request.start)) {
        throw new LifeboatError(
          'bad-input',
          '--disk brings back a volume, no VM: --name and --start do not go with it',
        )
      }
      const operation = await context.begin('restoreBackup', request)
      const isLeftOff = !request.start && request.onlyDisk === ''
      await finishOperation(context, operation, options.wait, isLeftOff ? hintToStart : undefined)
    })
}

/** A VM that is back and does not run looks like a failed restore. */
function hintToStart({ state, vm }: Operation): string {
  return state === 'done' ? `${vm} is off. Start it: lifeboat vm start ${vm}` : ''
}
