import type { Move, Plan } from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes, formatDuration } from '../../shared/domain/units.ts'
import { renderLoads, renderRelief } from './capacity-text.ts'
import { type Column, renderNPlusOne, renderSection, renderTable, renderTime } from './render.ts'

/** The whole plan for people: moves, what stays and why, what would help, the load afterwards. */
export function renderPlan(plan: Plan): string {
  return [
    headOf(plan),
    `  why: ${plan.cause || '-'}`,
    '',
    renderTable<Move>(columnsOf(plan), plan.moves, 'No VM to move.'),
    ...renderSection(
      'Stays where it is:',
      plan.unplaced.flatMap(vm => [
        `${vm.vm}:`,
        ...vm.reasons.map(
          reason => `  ${reason.blade === '' ? '' : `${reason.blade}: `}${reason.text} (${reason.code})`,
        ),
      ]),
    ),
    ...renderRelief(plan.relief),
    '',
    'Afterwards:',
    renderLoads(plan.after),
    ...(plan.nPlusOne === undefined ? [] : ['', renderNPlusOne(plan.nPlusOne, 'afterwards ')]),
  ].join('\n')
}

function headOf({ id, blade, createdAt }: Plan): string {
  if (id === '')
    return `What ${blade === '' ? 'rebalancing' : `emptying ${blade}`} would do (nothing is moved)`
  const what = blade === '' ? `Plan ${id} to rebalance` : `Plan ${id} for ${blade}`
  return `${what}, made ${renderTime(createdAt)}`
}

/** Why a VM is moved, where that is not plain: everybody knows why one leaves the blade that is emptied. */
const ROLES: Readonly<Record<string, string>> = {
  'makes-room': 'steps aside',
  leaves: 'leaves',
  balances: '',
}

/** Role and order only where there is something to say of them. */
function columnsOf({ moves }: Plan): Column<Move>[] {
  const names = new Map(moves.map(move => [move.vmId, move.vm]))
  const hasRoles = moves.some(move => move.role === 'makes-room')
  const hasOrder = moves.some(move => move.needs.length > 0)
  return [
    { title: 'VM', value: move => move.vm },
    ...(hasRoles ? [{ title: 'ROLE', value: (move: Move) => ROLES[move.role] ?? move.role }] : []),
    { title: 'FROM', value: move => move.from },
    { title: 'TO', value: move => move.to },
    { title: 'METHOD', value: move => move.method },
    { title: 'VOLUMES', value: move => formatBytes(move.volumeBytes), align: 'right' },
    {
      title: 'DOWNTIME',
      value: move => (move.method === 'live' ? `~${formatDuration(move.expectedDowntimeMs)}` : 'none added'),
    },
    ...(hasOrder
      ? [
          {
            title: 'WAITS FOR',
            value: (move: Move) => move.needs.map(id => names.get(id) ?? id).join(', '),
          },
        ]
      : []),
    { title: 'DONE AFTER', value: move => `~${formatDuration(move.expectedEndMs)}` },
    { title: 'STATE', value: move => move.state },
  ]
}
