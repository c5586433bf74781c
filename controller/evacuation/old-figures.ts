import { SECOND_MS } from '../../shared/domain/units.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { EvacuationMove, EvacuationRecord } from '../store/evacuations.ts'

/** An agent looks again within two seconds of an order's end; a report before that has the room as it was. */
const LOOK_MS = 3 * SECOND_MS
/** Three report intervals. A blade that says nothing for so long is not waited for. */
const SETTLE_MS = 15 * SECOND_MS

/**
 * Others made room for the move a moment ago, and the blade has not reported since: that its volume group has too little
 * may be the figure of before. `endedAt`: of an operation. Pure.
 */
export function areFiguresOld(
  { moves }: Pick<EvacuationRecord, 'moves'>,
  move: EvacuationMove,
  { blades }: Pick<FleetSnapshot, 'blades'>,
  { endedAt, now }: { readonly endedAt: (operation: string) => number; readonly now: number },
): boolean {
  const reportAt = blades.find(blade => blade.name === move.to)?.lastReportAt ?? 0
  return moves
    .filter(each => each.state === 'done' && each.from === move.to && move.needs.includes(each.vmId))
    .map(each => endedAt(each.operation))
    .some(at => reportAt < at + LOOK_MS && now < at + SETTLE_MS)
}
