import assert from 'node:assert/strict'
import type { Operation } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import type { Lab } from '../../lab.ts'
import { type HandMove, migrateByHand } from './by-hand.ts'
import { ended, operation, plan } from './fleet.ts'

/** One evacuation by Lifeboat and the same moves by hand, in the same lab within minutes of each other. */
export interface Comparison {
  byHandMs: number
  lifeboatMs: number
  ratio: number
}

/** Where an evacuation would bring each VM now, as moves for the hand. */
export async function movesOfPlan(lab: Lab, blade: string): Promise<HandMove[]> {
  const { moves } = await lab.cliJson<{ moves: HandMove[] }>(['evacuate', blade, '--plan'])
  return moves.map(({ vm, from, to }) => ({ vm, from, to }))
}

/** There and back by hand. Only the way there is timed; on the way back two blades send at once. */
export async function byHandAndBack(lab: Lab, moves: readonly HandMove[]): Promise<number> {
  const durationMs = await migrateByHand(lab, moves)
  for (const { vm, from, to } of moves) await migrateByHand(lab, [{ vm, from: to, to: from }])
  return durationMs
}

/** Waits for the end of an evacuation and returns it with the operations of its moves. */
export async function finishedEvacuation(
  lab: Lab,
  id: string,
): Promise<{ whole: Operation; moves: Operation[] }> {
  const whole = await ended(lab, id)
  const moves: Operation[] = []
  for (const child of whole.children) moves.push(await operation(lab, child))
  return { whole, moves }
}

/** The figures of both, printed as they are required: totals and ratio. */
export function compare(byHandMs: number, whole: Operation): Comparison {
  const lifeboatMs = whole.endedAt - whole.startedAt
  return { byHandMs, lifeboatMs, ratio: lifeboatMs / byHandMs }
}

export function describeComparison({ byHandMs, lifeboatMs, ratio }: Comparison): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  return `the same VMs by hand ${seconds(byHandMs)}, by Lifeboat ${seconds(lifeboatMs)}: ratio ${ratio.toFixed(2)}`
}

/** Both ways must have brought the VMs to the same blades, or the ratio compares two different things. */
export async function assertSameMoves(
  lab: Lab,
  whole: Operation,
  byHand: readonly HandMove[],
): Promise<void> {
  const { moves } = await plan(lab, whole.plan)
  const routes = (list: readonly HandMove[]) => list.map(({ vm, to }) => `${vm} → ${to}`).sort()
  assert.deepEqual(routes(moves), routes(byHand))
}
