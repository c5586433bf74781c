import type { Plan, PlannedMove } from '../../../controller/placement/plan.ts'
import { formatBytes, formatDuration } from '../../../shared/domain/units.ts'

/** A plan as text, everything that was decided and why: a changed line is a changed behaviour. */
export function renderPlan(plan: Plan): string {
  return [
    `plan ${plan.id} for ${plan.blade}: ${plan.cause}`,
    `made from snapshot ${plan.snapshotGeneration}, expected to take ${formatDuration(plan.expectedEndMs)}`,
    '',
    `moves: ${plan.moves.length}`,
    ...plan.moves.flatMap(renderMove),
    '',
    `unplaced: ${plan.unplaced.length}`,
    ...plan.unplaced.flatMap(({ vm, reasons }) => [
      `  ${vm}`,
      ...reasons.map(reason => `    ${reason.code}: ${reason.text}`),
    ]),
    '',
    'after',
    ...plan.after.map(load => {
      const memory = `${formatBytes(load.memoryUsedBytes)} of ${formatBytes(load.memoryTotalBytes)}`
      const pools = load.pools.map(
        pool =>
          `${pool.name} free ${formatBytes(pool.freeBytes)} + ${formatBytes(pool.reclaimableBytes)} kept`,
      )
      return `  ${load.blade}: ${load.vms} of ${load.maxVms} VMs, memory ${memory}, ${pools.join(', ')}`
    }),
    '',
    `N+1 ${plan.nPlusOne.kept ? 'kept' : 'lost'}: ${plan.nPlusOne.text}`,
    '',
  ].join('\n')
}

function renderMove(move: PlannedMove): string[] {
  const size = `${formatBytes(move.volumeBytes)} of volumes, ${formatBytes(move.memoryBytes)} of memory`
  const end = `down ${move.expectedDowntimeMs} ms, ends after ${formatDuration(move.expectedEndMs)}`
  return [
    `  ${move.vm}: ${move.from} → ${move.to}, ${move.method}, ${size}; ${end}`,
    ...move.scores.map(({ blade, total, parts }) => {
      const sum = Object.entries(parts).map(([name, points]) => `${name} ${points}`)
      return `    ${blade} ${total} = ${sum.join(' + ')}`
    }),
    ...move.rejected.map(reason => `    not ${reason.blade}: ${reason.code}: ${reason.text}`),
  ]
}
