import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { formatBytes, MIB, plural } from '../../../shared/domain/units.ts'
import { silentLogger } from '../../../shared/log.ts'
import { renderTable } from '../../../shared/terminal.ts'
import type { CollectReport } from '../store/collect.ts'
import { problemsOf, type VaultProblem } from '../store/problems.ts'
import type { PruneVerdict } from '../store/prune.ts'
import type { CheckReport, PointSummary } from '../vault.ts'
import { show, type VaultCommandContext, withVault } from './context.ts'
import { EXIT_CODES } from './exit-codes.ts'
import { findAnyPoint, pointsOfVm } from './find-point.ts'

interface VaultOption {
  readonly vault: string
}

/** What a vault's service does by itself, by hand: for a vault without a service. */
export function addCareCommands(program: Command, context: VaultCommandContext): void {
  addVerify(program, context)
  addScrub(program, context)
  addCollect(program, context)
  addPrune(program, context)
}

function addVerify(program: Command, context: VaultCommandContext): void {
  program
    .command('verify')
    .description('hash every chunk of a restore point again; ends with 1 when it is damaged or unreadable')
    .argument(
      '<vm[@point]>',
      'VM by name or id; without a point, its newest whole one, or the newest when none is',
    )
    .requiredOption('--vault <dir>', 'directory of the vault')
    .addHelpText('after', '\nExample:\n  lifeboat-vault verify web01 --vault /srv/vault')
    .action(async (word: string, { vault }: VaultOption) => {
      await withVault(quiet(context), vault, 'write', async store => {
        const point = findAnyPoint(await store.points(), word, vault)
        const checked = await store.check(point, {
          signal: context.interrupted,
          onProgress: (done, total) => context.progress(`${point.vm}: checking`, done, total),
        })
        const report = withManifest(point, checked)
        const isGood = report.bad.length === 0 && report.problems.length === 0
        if (!isGood) context.exitWith(EXIT_CODES.failed)
        const { problems } = await store.status()
        show(context, { ...report, vm: point.vm, point: point.point }, () =>
          isGood
            ? `${point.vm}@${point.point} is whole: ${report.chunks} chunks hashed`
            : renderDamaged(point, report, problemsOf(problems, point)),
        )
      })
    })
}

/** A check looks at indexes and chunks, but without its manifest nobody can restore a VM of them. */
function withManifest(point: PointSummary, report: CheckReport): CheckReport {
  if (point.state !== 'unreadable') return report
  return { ...report, problems: [`it is unreadable: ${point.stateText}`, ...report.problems] }
}

/** What is wrong, what follows from it, what to do: as a scrub says it, without its code, which is one for corrupt and missing chunks. */
function renderDamaged(point: PointSummary, report: CheckReport, problems: readonly VaultProblem[]): string {
  const isUnreadable = point.state === 'unreadable'
  const [first = '', ...more] = [
    ...(isUnreadable ? [point.stateText] : []),
    ...(report.bad.length > 0
      ? [`${report.bad.length} of ${report.chunks} chunks are missing or corrupt`]
      : []),
    // A scrub's words for the first line.
    ...problems.filter(({ code }) => code !== 'manifest-unreadable').map(({ text }) => text),
  ]
  return [
    `${point.vm}@${point.point} is ${isUnreadable ? 'unreadable' : 'damaged'}: ${first}`,
    ...more.map(line => `  ${line}`),
  ].join('\n')
}

/** For what tells in its answer all that the vault would log. */
function quiet(context: VaultCommandContext): Parameters<typeof withVault>[0] {
  const { clock, ids, run } = context
  return { clock, ids, run, log: silentLogger }
}

function addScrub(program: Command, context: VaultCommandContext): void {
  program
    .command('scrub')
    .description('hash every chunk of the vault again; goes on where it was stopped')
    .requiredOption('--vault <dir>', 'directory of the vault')
    .option('--rate <mib>', 'MiB per second, 0 for no limit', wholeNumber, 0)
    .addHelpText('after', '\nExample:\n  lifeboat-vault scrub --vault /srv/vault --rate 50')
    .action(async ({ vault, rate }: VaultOption & { readonly rate: number }) => {
      await withVault(quiet(context), vault, 'write', async store => {
        const report = await store.scrub({
          signal: context.interrupted,
          rateBytes: rate * MIB,
          onProgress: (done, total) => context.progress('scrubbing', done, total, 'folders'),
        })
        const { problems } = await store.status()
        if (report.bad.length > 0 || !report.finished) context.exitWith(EXIT_CODES.failed)
        show(context, { ...report, problems }, () =>
          [
            `${report.chunks} chunks hashed, ${report.bad.length} bad${report.finished ? '' : '; stopped before the end: the next scrub goes on here'}`,
            ...problems.map(problem => `  ${problem.code}: ${problem.text}`),
          ].join('\n'),
        )
      })
    })
}

function addCollect(program: Command, context: VaultCommandContext): void {
  program
    .command('gc')
    .description('remove the chunks no restore point names any more')
    .requiredOption('--vault <dir>', 'directory of the vault')
    .option('--dry-run', 'only say how much that is', false)
    .addHelpText('after', '\nExample:\n  lifeboat-vault gc --vault /srv/vault --dry-run')
    .action(async ({ vault, dryRun }: VaultOption & { readonly dryRun: boolean }) => {
      await withVault(context, vault, 'write', async store => {
        const report = await store.collect({ dryRun, signal: context.interrupted })
        if (report.refused !== '') context.exitWith(EXIT_CODES.failed)
        show(context, report, () => renderCollected(report, dryRun))
      })
    })
}

function renderCollected(report: CollectReport, dryRun: boolean): string {
  if (report.refused !== '') return `Nothing was collected: ${report.refused}`
  const verb = dryRun ? 'would be removed' : 'removed'
  return `${plural(report.chunks, 'chunk')} (${formatBytes(report.bytes)}) ${verb}, ${report.keptChunks} kept`
}

interface PruneOptions extends VaultOption {
  readonly dryRun: boolean
  readonly keepLast?: number
  readonly keepDaily?: number
  readonly keepWeekly?: number
  readonly keepMonthly?: number
}

function addPrune(program: Command, context: VaultCommandContext): void {
  program
    .command('prune')
    .description('drop the restore points that retention no longer keeps, and say why each is kept')
    .argument('[vm]', 'only those of this VM: name or id')
    .requiredOption('--vault <dir>', 'directory of the vault')
    .option('--dry-run', 'drop nothing', false)
    .option('--keep-last <n>', 'the newest so many', wholeNumber)
    .option('--keep-daily <n>', 'the newest of each of so many days, by UTC', wholeNumber)
    .option('--keep-weekly <n>', 'the same for weeks, from Monday', wholeNumber)
    .option('--keep-monthly <n>', 'the same for months', wholeNumber)
    .addHelpText(
      'after',
      `
Without any --keep-* the policies of the vault hold; without those, all is kept. The newest whole and the newest
verified restore point of a VM are never dropped.

Examples:
  lifeboat-vault prune --vault /srv/vault --dry-run
  lifeboat-vault prune web01 --vault /srv/vault --keep-daily 7 --keep-weekly 4`,
    )
    .action((vm: string | undefined, options: PruneOptions) => prune(context, vm, options))
}

async function prune(
  context: VaultCommandContext,
  vm: string | undefined,
  options: PruneOptions,
): Promise<void> {
  const { keepLast, keepDaily, keepWeekly, keepMonthly, dryRun } = options
  const isGiven = [keepLast, keepDaily, keepWeekly, keepMonthly].some(count => count !== undefined)
  const policy = {
    keepLast: keepLast ?? 0,
    keepDaily: keepDaily ?? 0,
    keepWeekly: keepWeekly ?? 0,
    keepMonthly: keepMonthly ?? 0,
  }
  await withVault(context, options.vault, dryRun ? 'read' : 'write', async store => {
    const vmId = vm === undefined ? undefined : pointsOfVm(await store.points(), vm)[0]?.vmId
    const verdicts = await store.prune({
      dryRun,
      ...(vmId === undefined ? {} : { vmId }),
      ...(isGiven ? { policy } : {}),
    })
    show(context, verdicts, () => renderVerdicts(verdicts, dryRun))
  })
}

function renderVerdicts(verdicts: readonly PruneVerdict[], dryRun: boolean): string {
  return renderTable(
    [
      { title: 'VM', value: verdict => verdict.vm },
      { title: 'POINT', value: verdict => verdict.point },
      { title: 'VERDICT', value: verdict => verdictText(verdict.keep, dryRun) },
      { title: 'WHY', value: verdict => verdict.reasons.join(', ') },
    ],
    verdicts,
    'No restore points.',
  )
}

function verdictText(keep: boolean, dryRun: boolean): string {
  if (keep) return 'keep'
  return dryRun ? 'drop' : 'dropped'
}

/** For options that take a number; commander turns the error into one of usage. */
function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number is wanted.')
  return Number(text)
}
