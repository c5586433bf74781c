import type { OperationServices } from '../operations/services.ts'
import type { Plan } from '../placement/plan.ts'
import type { EvacuationMove } from '../store/evacuations.ts'

type StoryServices = Pick<OperationServices, 'store' | 'clock' | 'log'>

/** Each VM of the plan is told where it is to go, or why it has no place. */
export function tellPlan({ store, clock, log }: StoryServices, plan: Plan): void {
  const now = clock.now()
  log.info(
    `plan ${plan.id}: ${plan.moves.length} moves, ${plan.unplaced.length} VMs without a place (${plan.cause})`,
  )
  for (const move of plan.moves) {
    const best = move.scores[0]
    const score = best === undefined ? '' : `, score ${best.total.toFixed(2)}`
    store.stories.tell(
      'vm',
      move.vmId,
      now,
      `plan ${plan.id}: ${move.from} → ${move.to}, ${move.method}${score}: ${plan.cause}`,
    )
  }
  for (const left of plan.unplaced) {
    const why = left.reasons.map(reason => reason.text).join('; ')
    store.stories.tell('vm', left.vmId, now, `plan ${plan.id}: no place: ${why}`)
    log.warn(`plan ${plan.id}: no place for ${left.vm}: ${why}`)
  }
}

/** A planned move that never begins: its state, and the one line that says so. */
export function skipMove(
  { store, clock, log }: StoryServices,
  evacuation: string,
  move: EvacuationMove,
  why: string,
): void {
  store.evacuations.updateMove(evacuation, move.seq, { state: 'skipped', error: why })
  const line = `vm ${move.vm}: planned => skipped (plan ${move.plan}, ${move.from} → ${move.to}): ${why}`
  store.stories.tell('vm', move.vmId, clock.now(), line)
  log.warn(line)
}
