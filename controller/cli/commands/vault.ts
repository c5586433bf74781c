import type { Command } from 'commander'
import type { VaultView } from '../../../proto/gen/lifeboat/v1/admin.ts'
import type { CollectReport, VaultStatus } from '../../../proto/gen/lifeboat/v1/vault.ts'
import { formatBytes, HOUR_MS, plural } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { type CliContext, show } from '../context.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { wholeNumber } from '../options.ts'
import { renderAge, renderSection, renderShare, renderTable, renderTime } from '../render.ts'

/** All chunks of a vault are looked at. */
const COLLECT_LIMIT_MS = 6 * HOUR_MS

/** `lifeboat vault …`: enrolment, room, problems, scrub, collection. */
export function addVaultCommands(program: Command, context: CliContext): void {
  const vault = program.command('vault').description('the hosts that keep restore points')
  addEnrolling(vault, context)
  addReading(vault, context)
  addWork(vault, context)
}

function addEnrolling(vault: Command, context: CliContext): void {
  vault
    .command('add <vault>')
    .description('announce a vault and print the one-time token that lets it join')
    .requiredOption('--address <host[:port]>', 'where the controller reaches it (port 7423 unless given)')
    .option('--token-ttl <minutes>', 'how long the token is good (an hour, unless given)', wholeNumber, 0)
    .option(
      '--replace',
      'although it has joined at another address: it is looked for at this one from now on',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat vault add depot --address 192.0.2.20\n  lifeboat vault add depot --address 192.0.2.21 --replace\n\nOf a vault that has joined the token lets another host take its place, or itself join anew.',
    )
    .action(async (name: string, options: { address: string; tokenTtl: number; replace?: boolean }) => {
      const { address, tokenTtl: tokenTtlMinutes, replace = false } = options
      const request = { name, address, tokenTtlMinutes, replace }
      show(context, await context.admin().ask('addVault', request), added =>
        [
          `${added.name} may join until ${renderTime(added.expiresAt)}. On its host, as root, type:`,
          '',
          `  ${added.joinCommand}`,
        ].join('\n'),
      )
    })
  vault
    .command('remove <vault>')
    .description(
      'forget a vault; its certificate is refused from then on. Its restore points are not touched',
    )
    .addHelpText('after', '\nExample:\n  lifeboat vault remove depot')
    .action(async (name: string) => {
      show(
        context,
        await context.admin().ask('removeVault', { name }),
        () => `${name} is removed; on it, type: systemctl disable --now lifeboat-vault`,
      )
    })
}

function addReading(vault: Command, context: CliContext): void {
  vault
    .command('list')
    .description('every vault with its room and its problems')
    .addHelpText('after', '\nExamples:\n  lifeboat vault list\n  lifeboat vault list --output json')
    .action(async () => {
      const { vaults } = await context.admin().ask('listVaults', {})
      show(context, vaults, all => renderVaults(all, context.now()))
    })
  vault
    .command('status [vault]')
    .description('room, chunks, scrub, and every problem with the restore points it touches')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat vault status\n  lifeboat vault status depot\n\nEnds with 1 when a vault has a problem or does not answer.',
    )
    .action(async (name = '') => {
      const found = await askVaults(context, name)
      if (found.some(hasTrouble)) context.exitWith(EXIT_CODES.failed)
      if (context.json()) context.print(JSON.stringify(found, undefined, 2))
      else if (found.length === 0) context.print(renderVaults([], context.now()))
      else context.print(found.map(each => renderVault(each, context.now())).join('\n\n'))
    })
}

function addWork(vault: Command, context: CliContext): void {
  vault
    .command('scrub [vault]')
    .description('read and hash every chunk, beginning now; it goes on in the vault by itself')
    .option('--stop', 'end a running one; the next goes on from there')
    .addHelpText('after', '\nExamples:\n  lifeboat vault scrub\n  lifeboat vault scrub depot --stop')
    .action(async (name = '', options: { stop?: boolean }) => {
      const stop = options.stop ?? false
      show(context, await context.admin().ask('scrubVault', { name, stop }), found =>
        stop
          ? renderStopped(found)
          : `${found.name}: the scrub has begun. Watch it: lifeboat vault status ${found.name}`,
      )
    })
  vault
    .command('gc [vault]')
    .description('remove the chunks that no restore point names; the vault does it each day by itself')
    .option('--dry-run', 'only say what would be removed')
    .addHelpText('after', '\nExamples:\n  lifeboat vault gc --dry-run\n  lifeboat vault gc depot')
    .action(async (name = '', options: { dryRun?: boolean }) => {
      const dryRun = options.dryRun ?? false
      // Otherwise it is refused at once, and nothing is looked at.
      const isClear = (await askVaults(context, name)).filter(hasJoined).length === 1
      if (isClear) context.progress('looking at every index and chunk of the vault', '')
      const limits = { timeoutMs: COLLECT_LIMIT_MS, signal: context.interrupted }
      const report = await context.admin().ask('collectVault', { name, dryRun }, limits)
      if (report.refused !== '') context.exitWith(EXIT_CODES.failed)
      show(context, report, found => renderCollect(found, dryRun))
    })
}

/** All, or the one of that name. Throws `not-found`. */
async function askVaults(context: CliContext, name: string): Promise<readonly VaultView[]> {
  const { vaults } = await context.admin().ask('listVaults', {})
  if (name === '') return vaults
  const found = vaults.filter(vault => vault.name === name)
  if (found.length > 0) return found
  throw new LifeboatError('not-found', `there is no vault ${name}; lifeboat vault list shows all`)
}

function hasJoined({ enrolment }: VaultView): boolean {
  return enrolment === 'joined'
}

/** One that was stopped before its end has not ended: the next goes on with it. */
function renderStopped({ name, status }: VaultView): string {
  return isUnderWay(status)
    ? `${name}: the scrub is stopped; lifeboat vault scrub ${name} goes on with it`
    : `${name}: no scrub was running`
}

function isUnderWay(status: VaultStatus | undefined): boolean {
  return status !== undefined && status.scrubStartedAt > 0 && status.scrubEndedAt === 0
}

function renderCollect(report: CollectReport, dryRun: boolean): string {
  if (report.refused !== '') {
    return `Nothing was removed: ${report.refused}\nSee: lifeboat vault status`
  }
  const verb = dryRun ? 'would be removed' : 'removed'
  return `${plural(report.chunks, 'chunk')} (${formatBytes(report.bytes)}) ${verb}, ${report.keptChunks} are in use`
}

function hasTrouble({ enrolment, reachable, status }: VaultView): boolean {
  return enrolment === 'joined' && (!reachable || (status?.problems.length ?? 0) > 0)
}

function stateOf({ enrolment, reachable, status }: VaultView): string {
  if (enrolment === 'waiting') return 'not joined'
  if (!reachable) return 'UNREACHABLE'
  return status?.accepts === false ? 'takes no backups' : 'ok'
}

/** Empty where none can be asked for: what was known of a vault that is away is no news of it. */
function problemsOf({ enrolment, reachable, status }: VaultView): string {
  return enrolment === 'joined' && reachable ? String(status?.problems.length ?? '') : ''
}

function renderVaults(vaults: readonly VaultView[], now: number): string {
  return renderTable<VaultView>(
    [
      { title: 'VAULT', value: vault => vault.name },
      { title: 'STATE', value: stateOf },
      { title: 'ADDRESS', value: vault => vault.address },
      {
        title: 'FREE',
        value: ({ status }) => renderShare(status?.freeBytes ?? 0, status?.sizeBytes ?? 0),
      },
      { title: 'POINTS', value: ({ status }) => String(status?.points ?? ''), align: 'right' },
      {
        title: 'STORED',
        value: ({ status }) => (status ? formatBytes(status.storedBytes) : ''),
        align: 'right',
      },
      { title: 'PROBLEMS', value: problemsOf, align: 'right' },
      { title: 'SCRUBBED', value: ({ status }) => renderAge(status?.scrubEndedAt ?? 0, now) },
    ],
    vaults,
    'No vault yet. Announce the first: lifeboat vault add depot --address HOST',
  )
}

function renderVault(vault: VaultView, now: number): string {
  const { name, address, error, status } = vault
  const lines = [`${name}: ${stateOf(vault)} at ${address}${renderSeen(vault, now)}`]
  if (error !== '') lines.push(`  ${error}`)
  if (vault.enrolment === 'joined' && !vault.reachable) {
    lines.push(
      '  until it is back no VM is backed up to it or restored from it; blades try again by themselves, after 10 min and',
      '  then less often, and catch up what they missed: lifeboat backup plan',
    )
  }
  if (vault.enrolment === 'waiting') {
    lines.push(`  a new token, should that have expired: lifeboat vault add ${name} --address ${address}`)
  }
  return [...lines, ...(status === undefined ? [] : renderStatus(status, now))].join('\n')
}

/** Of one that is away: since when. */
function renderSeen({ enrolment, reachable, seenAt }: VaultView, now: number): string {
  if (seenAt === 0) return ''
  const isAway = enrolment === 'joined' && !reachable
  return isAway
    ? `, last heard ${renderTime(seenAt)} (${renderAge(seenAt, now)})`
    : `, seen ${renderAge(seenAt, now)}`
}

function renderStatus(status: VaultStatus, now: number): string[] {
  return [
    `  ${renderShare(status.freeBytes, status.sizeBytes)} free; ${plural(status.points, 'restore point')}, ${formatBytes(status.storedBytes)} in ${plural(status.chunks, 'chunk')}${renderUnproven(status)}`,
    `  backups coming in: ${status.sessions} of at most ${status.maxSessions}; version ${status.version}`,
    `  scrub: ${renderScrub(status, now)}; chunks collected: ${renderAge(status.collectedAt, now)}`,
    ...renderSection(
      'Problems:',
      status.problems.map(
        ({ code, text, since, points }) =>
          `${code} since ${renderTime(since)}: ${text}${points.length === 0 ? '' : ` (${plural(points.length, 'restore point')})`}`,
      ),
    ),
  ]
}

/** Present for their own blade only, until they are hashed. */
function renderUnproven({ unproven }: VaultStatus): string {
  return unproven === 0 ? '' : `, ${unproven} of them new and still to be hashed`
}

function renderScrub(status: VaultStatus, now: number): string {
  const { scrubStartedAt: startedAt, scrubEndedAt: endedAt } = status
  if (startedAt === 0) return 'never'
  if (endedAt > 0) return `ended ${renderAge(endedAt, now)}, ${status.scrubDoneChunks} chunks`
  const share = status.chunks === 0 ? 0 : Math.min(1, status.scrubDoneChunks / status.chunks)
  return `under way since ${renderAge(startedAt, now)}, ${Math.floor(share * 100)} % of the chunks`
}
