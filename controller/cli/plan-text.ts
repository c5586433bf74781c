import type { BladeLoad, Move, Plan } from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes, formatDuration } from '../../shared/domain/units.ts'
import { renderNPlusOne, renderSection, renderShare, renderTable, renderTime } from './render.ts'

/** The whole plan for people: moves, what stays and why, the load afterwards. */
export function renderPlan(plan: Plan): string {
  const head =
    plan.id === ''
      ? `What emptying ${plan.blade} would do (nothing is moved)`
      : `Plan ${plan.id} for ${plan.blade}, made ${renderTime(plan.createdAt)}`
  return [
    head,
    `  why: ${plan.cause || '-'}`,
    '',
    renderTable<Move>(
      [
        { title: 'VM', value: move => move.vm },
        { title: 'FROM', value: move => move.from },
        { title: 'TO', value: move => move.to },
        { title: 'METHOD', value: move => move.method },
        { title: 'VOLUMES', value: move => formatBytes(move.volumeBytes), align: 'right' },
        {
          title: 'DOWNTIME',
          value: move =>
            move.method === 'live' ? `~${formatDuration(move.expectedDowntimeMs)}` : 'none added',
        },
        { title: 'DONE AFTER', value: move => `~${formatDuration(move.expectedEndMs)}` },
        { title: 'STATE', value: move => move.state },
      ],
      plan.moves,
      'No VM to move.',
    ),
    ...renderSection(
      'Stays where it is:',
      plan.unplaced.flatMap(vm => [
        `${vm.vm}:`,
        ...vm.reasons.map(
          reason => `  ${reason.blade === '' ? '' : `${reason.blade}: `}${reason.text} (${reason.code})`,
        ),
      ]),
    ),
    '',
    'Afterwards:',
    renderTable<BladeLoad>(
      [
        { title: 'BLADE', value: load => load.blade },
        { title: 'VMS', value: load => `${load.vms}/${load.maxVms}`, align: 'right' },
        { title: 'MEMORY', value: load => renderShare(load.memoryUsedBytes, load.memoryTotalBytes) },
        {
          title: 'FREE ROOM',
          value: load => load.pools.map(pool => `${pool.name} ${formatBytes(pool.freeBytes)}`).join(', '),
        },
      ],
      plan.after,
      'No blades.',
    ),
    ...(plan.nPlusOne === undefined ? [] : ['', renderNPlusOne(plan.nPlusOne, 'afterwards ')]),
  ].join('\n')
}
