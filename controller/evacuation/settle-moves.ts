import type { EvacuationRecord } from '../store/evacuations.ts'
import type { Store } from '../store/store.ts'

/**
 * The controller may have been killed between the start of an operation and the note of it here. Without this look a
 * failed one would pass for never begun, and be tried again blindly (rule 10).
 */
export function adoptStarted(store: Store, evacuation: EvacuationRecord): void {
  const planned = evacuation.moves.filter(move => move.state === 'planned')
  if (planned.length === 0) return
  const known = new Set(evacuation.moves.map(move => move.operation))
  for (const operation of store.operations.children(evacuation.operation)) {
    const move = planned.find(each => each.vmId === operation.vmId && each.plan === operation.plan)
    if (move === undefined || known.has(operation.id)) continue
    store.evacuations.updateMove(evacuation.operation, move.seq, {
      state: 'running',
      operation: operation.id,
    })
  }
}

/** Moves whose operations have ended since the last pass are done, or have failed. */
export function settleRunning(store: Store, id: string): void {
  for (const move of store.evacuations.get(id)?.moves ?? []) {
    if (move.state !== 'running') continue
    const operation = store.operations.get(move.operation)
    if (operation === undefined || operation.endedAt === 0) continue
    const state = operation.state === 'done' ? 'done' : 'failed'
    store.evacuations.updateMove(id, move.seq, { state, error: operation.outcome })
  }
}
