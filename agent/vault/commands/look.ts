import type { Command } from 'commander'
import { formatBytes, formatDuration } from '../../../shared/domain/units.ts'
import { renderTable, renderTime } from '../../../shared/terminal.ts'
import { CONSISTENCIES } from '../format/manifest.ts'
import type { PointSummary } from '../vault.ts'
import { show, type VaultCommandContext, withVault } from './context.ts'
import { findAnyPoint, pointsOfVm } from './find-point.ts'

interface VaultOption {
  readonly vault: string
}

export function addLookCommands(program: Command, context: VaultCommandContext): void {
  program
    .command('list')
    .description('restore points of a vault, the newest of each VM first')
    .argument('[vm]', 'only those of this VM: name or id')
    .requiredOption('--vault <dir>', 'directory of the vault')
    .addHelpText(
      'after',
      `
Examples:
  lifeboat-vault list --vault /srv/vault
  lifeboat-vault list web01 --vault /srv/vault --output json`,
    )
    .action(async (vm: string | undefined, { vault }: VaultOption) => {
      const points = await withVault(context, vault, 'read', store => store.points())
      show(context, vm === undefined ? points : pointsOfVm(points, vm), renderList)
    })
  program
    .command('show')
    .description('one restore point: its disks, its figures, when it was checked and booted')
    .argument(
      '<vm[@point]>',
      'VM by name or id; without a point, its newest whole one, or the newest when none is',
    )
    .requiredOption('--vault <dir>', 'directory of the vault')
    .addHelpText(
      'after',
      `
Examples:
  lifeboat-vault show web01 --vault /srv/vault
  lifeboat-vault show web01@20261128T020512Z --vault /srv/vault`,
    )
    .action(async (word: string, { vault }: VaultOption) => {
      const points = await withVault(context, vault, 'read', store => store.points())
      show(context, findAnyPoint(points, word, vault), renderPoint)
    })
}

function renderList(points: readonly PointSummary[]): string {
  return renderTable(
    [
      { title: 'VM', value: point => point.vm },
      { title: 'POINT', value: point => point.point },
      { title: 'BLADE', value: point => point.blade },
      { title: 'SIZE', value: point => sizeText(point), align: 'right' },
      { title: 'ADDED', value: ({ manifest }) => bytesText(manifest?.figures.storedBytes), align: 'right' },
      { title: 'CONSISTENCY', value: ({ manifest }) => manifest?.consistency ?? '' },
      { title: 'HASHED', value: point => renderTime(point.checkedAt) },
      { title: 'BOOTED', value: bootText },
      { title: 'STATE', value: point => point.state },
    ],
    points,
    'No restore points.',
  )
}

function renderPoint(point: PointSummary): string {
  const { manifest, boot } = point
  const lines = [
    `${point.vm}@${point.point}`,
    `  id           ${point.vmId}`,
    `  state        ${stateText(point)}`,
  ]
  if (manifest === undefined) return lines.join('\n')
  const { figures } = manifest
  lines.push(
    `  taken        ${renderTime(point.at)}, ${manifest.blade === '' ? 'by hand' : `on ${manifest.blade}`}`,
    `  consistency  ${manifest.consistency}: ${CONSISTENCIES[manifest.consistency]}`,
    `  pause        ${formatDuration(manifest.pauseMs)}`,
    `  read         ${formatBytes(figures.readBytes)}, ${formatBytes(figures.storedBytes)} added, in ${formatDuration(figures.durationMs)}`,
    `  hashed again ${point.checkedAt === 0 ? 'not since it was written' : renderTime(point.checkedAt)}`,
    `  booted       ${boot === undefined ? 'never tried' : bootText(point)}`,
    ...(boot === undefined || boot.ok ? [] : [`               ${boot.error}`]),
    `  definition   ${manifest.definition === '' ? 'none: export its disks' : 'libvirt'}`,
    '',
    renderTable(
      [
        { title: 'DISK', value: disk => disk.target },
        { title: 'SIZE', value: disk => formatBytes(disk.sizeBytes), align: 'right' },
        { title: 'FORMAT', value: disk => disk.format },
        { title: 'STORAGE', value: disk => disk.storage },
        { title: 'PATH', value: disk => disk.path },
      ],
      manifest.disks,
      '',
    ),
  )
  return lines.join('\n')
}

function stateText(point: PointSummary): string {
  return point.stateText === '' ? point.state : `${point.state}: ${point.stateText}`
}

function bootText({ boot }: PointSummary): string {
  if (boot === undefined) return ''
  return boot.ok ? `ok in ${formatDuration(boot.recoveryMs)}` : 'failed'
}

function sizeText({ manifest }: PointSummary): string {
  return manifest === undefined
    ? ''
    : bytesText(manifest.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0))
}

function bytesText(bytes: number | undefined): string {
  return bytes === undefined ? '' : formatBytes(bytes)
}
