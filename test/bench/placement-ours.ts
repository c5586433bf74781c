import { planEvacuation } from '../../controller/placement/make-plan.ts'
import type { Plan } from '../../controller/placement/plan.ts'
import { readGaneti } from '../../controller/simulate/ganeti-text.ts'

export interface OurAnswer {
  readonly plan: Plan
  readonly readMs: number
  readonly planMs: number
}

/** Reads the cluster as `lifeboat simulate --format ganeti` does and plans to empty its drained blades. */
export function planOurs(text: string, drained: readonly string[]): OurAnswer {
  const startedAt = performance.now()
  const snapshot = readGaneti(text)
  const readAt = performance.now()
  const [bladeName = '', ...alsoBlades] = drained
  const plan = planEvacuation(snapshot, {
    bladeName,
    alsoBlades,
    cause: 'bench',
    now: snapshot.takenAt,
    id: '',
  })
  return { plan, readMs: readAt - startedAt, planMs: performance.now() - readAt }
}
