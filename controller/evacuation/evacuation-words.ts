import { formatDuration, plural } from '../../shared/domain/units.ts'
import { byReason } from '../../shared/domain/unplaced-words.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { Plan } from '../placement/plan.ts'
import type { EvacuationRecord } from '../store/evacuations.ts'
import type { Brake } from './brakes.ts'
import { meantVms, stillThere } from './left-behind.ts'
import type { HeldBack } from './policy.ts'

/** What a brake keeps from going on. */
export function heldByBrake(
  { operation, blade, moves }: EvacuationRecord,
  { why, release }: Brake,
): HeldBack {
  const left = moves.filter(move => move.state === 'planned').length
  return {
    blade,
    operation,
    text: `the evacuation of ${blade} (operation ${operation}) waits with ${plural(left, 'move')}, for ${why}; ${release}; \`lifeboat operation abort ${operation}\` ends it, and then \`lifeboat evacuate ${blade}\` does it all the same`,
  }
}

/** What a rebalancing waits for: the evacuation `first`. */
export function heldByEvacuation({ operation, moves }: EvacuationRecord, first: EvacuationRecord): HeldBack {
  const left = moves.filter(move => move.state === 'planned').length
  return {
    blade: first.blade,
    operation,
    text: `the rebalancing (operation ${operation}) waits with ${plural(left, 'move')} until ${first.blade} is empty; \`lifeboat operation abort ${operation}\` ends it`,
  }
}

/** Nobody is in danger where a VM stays that was only to even out the load: what was not moved is told, and no more. */
function balanceSummary({ moves, startedAt, state }: EvacuationRecord, now: number): Summary {
  const moved = moves.filter(move => move.state === 'done').length
  const stay = moves.filter(move => move.state !== 'done').map(move => `${move.vm} (${move.error})`)
  const count = `${moved} of ${moves.length} VMs moved in ${formatDuration(now - startedAt)}`
  const outcome = `${state === 'aborting' ? 'aborted: ' : ''}${count}${stay.length === 0 ? '' : `; not moved: ${stay.join(', ')}`}`
  const nextCommand = stay.length === 0 ? '' : 'lifeboat rebalance --plan'
  return { state: moved === 0 ? 'undone' : 'done', outcome, nextCommand }
}

/** More alternatives are in the plan. */
const RELIEFS_TOLD = 3

function helpOf(plan: Plan | undefined): string {
  const relief = (plan?.relief ?? []).slice(0, RELIEFS_TOLD).map(each => each.text)
  return relief.length === 0 ? '' : `. What would help: ${relief.join('; or ')}`
}

interface Summary {
  readonly state: 'done' | 'undone' | 'needs-admin'
  readonly outcome: string
  readonly nextCommand: string
}

/** How it ended, for the person who reads it in the morning. Pure. */
export function summary(
  evacuation: EvacuationRecord,
  plan: Plan | undefined,
  snapshot: FleetSnapshot,
  now: number,
  isOverdue = false,
): Summary {
  if (evacuation.blade === '') return balanceSummary(evacuation, now)
  const meant = meantVms(evacuation, plan)
  const there = stillThere(evacuation, plan, snapshot)
  const wanted = there.filter(each => each.state === 'wanted')
  const left = there.filter(each => each.state !== 'wanted')
  const asides = new Set(evacuation.moves.filter(move => move.role === 'makes-room').map(move => move.vmId))
  const done = evacuation.moves.filter(move => move.state === 'done')
  const moved = done.filter(move => !asides.has(move.vmId)).length
  const total = new Set(meant.map(each => each.vmId)).size - asides.size - wanted.length
  const took = formatDuration(now - evacuation.startedAt)
  const aside = done.length - moved
  const steppedAside = aside === 0 ? '' : `, ${aside} ${aside === 1 ? 'other' : 'others'} stepped aside`
  const byPolicy = wanted.map(each => `; ${each.reasons.map(({ text }) => text).join('; ')}`).join('')
  const count = `${moved} of ${total} VMs moved in ${took}${steppedAside}${byPolicy}`
  // On a full blade all stay for the same reasons, and each has one for every other blade.
  const stay = byReason(left)
    .map(({ names, why }) => `${names} (${why})`)
    .join(', ')
  // The deadline's abort is nobody's wish: what it left on a failing blade is somebody's to look at (rule 11).
  if (evacuation.state === 'aborting' && !(isOverdue && left.length > 0)) {
    const outcome = `aborted: ${count}${left.length === 0 ? '' : `; on ${evacuation.blade} stay ${stay}`}`
    return { state: moved === 0 ? 'undone' : 'done', outcome, nextCommand: '' }
  }
  if (left.length === 0) return { state: 'done', outcome: count, nextCommand: '' }
  return {
    state: 'needs-admin',
    outcome: `${isOverdue ? 'the deadline passed: ' : ''}${count}; left on ${evacuation.blade}: ${stay}${helpOf(plan)}`,
    nextCommand: `lifeboat evacuate ${evacuation.blade} --plan`,
  }
}
