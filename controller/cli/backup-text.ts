/** Text for people about restore points and backups. Pure; nothing here prints. */
import type {
  BackupOverview,
  BackupPolicy,
  BackupStanding,
  Operation,
  PlannedBackup,
} from '../../proto/gen/lifeboat/v1/admin.ts'
import type { PointDetail, PointSummary, PruneVerdict } from '../../proto/gen/lifeboat/v1/vault.ts'
import { formatBytes, formatDuration } from '../../shared/domain/units.ts'
import { formatBackupName } from './point-name.ts'
import { renderAge, renderSection, renderTable, renderTime } from './render.ts'

/** A table of restore points. `vm` is the one that was asked for, empty: all. */
export function renderPoints(points: readonly PointSummary[], now: number, vm: string): string {
  return renderTable<PointSummary>(
    [
      { title: 'VM', value: point => point.vm },
      { title: 'POINT', value: point => point.point },
      { title: 'AGE', value: point => renderAge(point.at, now) },
      { title: 'SIZE', value: point => formatBytes(point.sizeBytes), align: 'right' },
      { title: 'ADDED', value: point => formatBytes(point.storedBytes), align: 'right' },
      { title: 'PAUSE', value: point => renderPause(point.pauseMs), align: 'right' },
      { title: 'CONSISTENCY', value: point => point.consistency },
      { title: 'STATE', value: point => point.state },
      { title: 'VERIFIED', value: point => renderVerified(point, now) },
    ],
    points,
    vm === ''
      ? 'No restore points yet. Make the first: lifeboat backup run --all'
      : `No restore point of ${vm}. Make one: lifeboat backup run ${vm}`,
  )
}

/** Empty for a VM that was off, or not held still. */
function renderPause(pauseMs: number): string {
  return pauseMs === 0 ? '' : formatDuration(pauseMs)
}

/** `booted 2 d ago (recovery 41 s)`, or `hashed 3 d ago`; the stronger of the two. Empty when neither. */
function renderVerified(point: PointSummary, now: number): string {
  if (point.bootError !== '') return 'BOOT FAILED'
  if (point.bootedAt > 0)
    return `booted ${renderAge(point.bootedAt, now)} (recovery ${formatDuration(point.recoveryMs)})`
  return point.checkedAt > 0 ? `hashed ${renderAge(point.checkedAt, now)}` : ''
}

/** One restore point with its disks. */
export function renderPoint({ summary }: PointDetail, now: number): string {
  if (summary === undefined) return 'The vault told nothing of it.'
  const { pauseMs, blade } = summary
  const name = formatBackupName(summary)
  return [
    `${name}: ${summary.state}${summary.stateText === '' ? '' : `: ${summary.stateText}`}`,
    `  of ${renderTime(summary.at)} (${renderAge(summary.at, now)})${blade === '' ? '' : `, by ${blade}`}; ${summary.consistency}${pauseMs > 0 ? `, the VM stood still for ${formatDuration(pauseMs)}` : ''}`,
    `  ${formatBytes(summary.sizeBytes)} of disks, ${formatBytes(summary.readBytes)} read, ${formatBytes(summary.sentBytes)} sent, ${formatBytes(summary.storedBytes)} added to the vault, in ${formatDuration(summary.durationMs)}`,
    `  hashed again: ${renderAge(summary.checkedAt, now)}; booted: ${bootLine(summary, now)}`,
    ...renderSection(
      'Disks:',
      summary.disks.map(
        disk =>
          `${disk.target}: ${formatBytes(disk.sizeBytes)} ${disk.format}, was ${disk.path} (${disk.storage} in ${disk.pool})`,
      ),
    ),
    '',
    `Bring it back: lifeboat backup restore ${name}`,
  ].join('\n')
}

function bootLine(point: PointSummary, now: number): string {
  const seen =
    point.bootedAt === 0
      ? 'never'
      : `${renderAge(point.bootedAt, now)}, recovery ${formatDuration(point.recoveryMs)}`
  return point.bootError === '' ? seen : `${seen}; the newest test FAILED: ${point.bootError}`
}

/** When each VM is backed up next, how long it takes, and how it stands. */
export function renderBackupPlan(planned: readonly PlannedBackup[], now: number): string {
  const table = renderTable<PlannedBackup>(
    [
      { title: 'VM', value: each => each.vm },
      { title: 'BLADE', value: each => each.blade },
      { title: 'VAULT', value: each => each.vault },
      { title: 'MODE', value: each => each.mode },
      { title: 'NEXT', value: each => renderTime(each.nextAt) || 'never' },
      {
        title: 'TAKES',
        value: each => (each.expectedMs === 0 ? '' : formatDuration(each.expectedMs)),
        align: 'right',
      },
      { title: 'NEWEST', value: each => renderAge(each.standing?.newestAt ?? 0, now) },
      { title: 'VERIFIED', value: each => renderAge(each.standing?.newestVerifiedAt ?? 0, now) },
      { title: 'NOTE', value: each => each.text },
    ],
    planned,
    'No VMs to back up.',
  )
  const scheduled = planned.filter(each => each.nextAt > 0)
  const known = scheduled.filter(each => each.expectedMs > 0)
  if (known.length === 0) return table
  const endsAt = renderTime(Math.max(...known.map(each => each.expectedEndAt)))
  const unknown = scheduled.length - known.length
  // The end of a few is not that of all: others may not even have begun by then.
  return unknown === 0
    ? `${table}\n\nThe last of them ends about ${endsAt}.`
    : `${table}\n\nHow long it takes is known for ${known.length} of ${scheduled.length} VMs: the last of those ends about ${endsAt}.`
}

/** How the backups of a fleet stand, as a line of `lifeboat status`. */
export function renderBackupOverview(overview: BackupOverview | undefined): string[] {
  if (overview === undefined || overview.text === '') return []
  const hint = overview.overdue > 0 ? ' Which: lifeboat backup plan' : ''
  return [`Backups: ${overview.text}${overview.text.endsWith('.') ? '' : '.'}${hint}`]
}

/** The backup lines of `lifeboat vm show`. */
export function renderStanding(vm: string, standing: BackupStanding | undefined, now: number): string[] {
  if (standing === undefined) return []
  const verified =
    standing.newestVerifiedAt === 0
      ? 'none verified yet'
      : `verified: that of ${renderAge(standing.newestVerifiedAt, now)}`
  const recovery =
    standing.recoveryMs === 0 ? '' : `, a restore ran again in ${formatDuration(standing.recoveryMs)}`
  return [
    '',
    `Backup: ${standing.text}`,
    ...(standing.newest === ''
      ? []
      : [`  newest ${formatBackupName({ vm, point: standing.newest })}; ${verified}${recovery}`]),
  ]
}

/** What retention keeps and drops, with the reasons. `inEarnest`: nothing was dropped yet, this does it. */
export function renderVerdicts(
  verdicts: readonly PruneVerdict[],
  now: number,
  inEarnest: string | undefined,
): string {
  const dryRun = inEarnest !== undefined
  const table = renderTable<PruneVerdict>(
    [
      { title: 'VM', value: verdict => verdict.vm },
      { title: 'POINT', value: verdict => verdict.point },
      { title: 'AGE', value: verdict => renderAge(verdict.at, now) },
      {
        title: 'VERDICT',
        value: verdict => (verdict.keep ? 'keep' : dryRun ? 'would be dropped' : 'dropped'),
      },
      { title: 'WHY', value: verdict => verdict.reasons.join('; ') },
    ],
    verdicts,
    'No restore points.',
  )
  const dropped = verdicts.filter(verdict => !verdict.keep).length
  if (verdicts.length === 0) return table
  if (dropped === 0) return `${table}\n\n${dryRun ? 'Nothing would be dropped.' : 'Nothing dropped.'}`
  const end = dryRun
    ? `${dropped} would be dropped; nothing was. Do it: ${inEarnest}`
    : `${dropped} dropped. Their room comes back when chunks are collected: lifeboat vault gc`
  return `${table}\n\n${end}`
}

/** How one VM is backed up, and where each value comes from. */
export function renderBackupPolicy(policy: BackupPolicy): string {
  const { keep } = policy
  const kept =
    keep === undefined
      ? ''
      : `, keeps ${keep.keepLast} last, ${keep.keepDaily} daily, ${keep.keepWeekly} weekly, ${keep.keepMonthly} monthly`
  return [
    `${policy.vm}: mode ${policy.mode}, schedule ${policy.schedule}, vault ${policy.vault || 'none'}${kept}`,
    ...renderSection('Where it comes from:', policy.explanation),
    '',
    `Change it: lifeboat vm tag ${policy.vm} backup=freeze, or [[backup.vm]] in controller.toml`,
  ].join('\n')
}

/** What became of a run of backups. */
export function renderBackupRun(operations: readonly Operation[]): string {
  const table = renderTable<Operation>(
    [
      { title: 'OPERATION', value: operation => operation.id },
      { title: 'VM', value: operation => operation.vm },
      { title: 'STATE', value: operation => operation.state },
      { title: 'POINT', value: operation => operation.point },
      {
        title: 'PAUSE',
        value: operation => renderPause(operation.pauseMs),
        align: 'right',
      },
      {
        title: 'TOOK',
        value: ({ startedAt, endedAt }) => (endedAt === 0 ? '' : formatDuration(endedAt - startedAt)),
        align: 'right',
      },
      { title: 'OUTCOME', value: operation => operation.outcome },
    ],
    operations,
    'Nothing to back up: every VM of the choice has its backups off. See: lifeboat backup plan',
  )
  const failed = operations.find(({ state }) => state === 'undone' || state === 'needs-admin')
  return failed === undefined ? table : `${table}\n\nWhy: lifeboat operation show ${failed.id}`
}
