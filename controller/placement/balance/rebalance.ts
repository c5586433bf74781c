import { formatBytes, formatDuration, plural } from '../../../shared/domain/units.ts'
import type { FleetSnapshot, VmView } from '../../fleet/snapshot.ts'
import { assemble, type PlanHead } from '../assemble-plan.ts'
import { explainSteps } from '../explain-steps.ts'
import type { NPlusOne, Plan } from '../plan.ts'
import { isOpen, type Rooms, roomsOf, usableMemoryBytes, usedMemoryBytes } from '../room.ts'
import { compile } from '../solver/compile.ts'
import { NOWHERE } from '../solver/model.ts'
import { legalOrder, needsOf } from '../solver/order.ts'
import { createState } from '../solver/state.ts'
import { nPlusOne } from '../survives.ts'
import { copiedBytes } from '../times.ts'
import { searchBalance } from './search.ts'

export interface RebalanceRequest extends Omit<PlanHead, 'cause'> {
  /** When each VM was moved last; what is not listed was not. */
  readonly movedAt: ReadonlyMap<string, number>
  /** A VM that was moved within it is left alone, milliseconds. */
  readonly cooldownMs: number
  readonly requestedBy: string
}

export interface Rebalance {
  /** Without moves: nothing is worth one. */
  readonly plan: Plan
  /** One sentence without a full stop: what is gained, or why nothing is moved. */
  readonly text: string
  readonly before: NPlusOne
  /** Share of its memory that the fullest blade uses. */
  readonly highestLoadBefore: number
  readonly highestLoadAfter: number
  /** VMs that stay out of it though they could move, each with the reason. */
  readonly leftAlone: readonly string[]
}

/** A person reads the plan before it is carried out, and a long one is a reshuffle. */
const MOST_MOVES = 10
/** Of the memory of the fuller blade: less is not worth copying a VM. */
const LEAST_GAIN = 0.1

/**
 * The fewest moves for the largest gain: first those that restore N+1, then those that lower the highest load. Every
 * state on the way is legal. It is only made when a person asks: an even load is no reason to move a VM at night.
 */
export function planRebalance(snapshot: FleetSnapshot, request: RebalanceRequest): Rebalance {
  const rooms = roomsOf(snapshot)
  const compiled = compile(rooms, snapshot.vms, { purpose: 'move', overheadBytes: 0 })
  const resting = snapshot.vms.filter(vm => restsForMs(vm, request) > 0)
  const restingIds = new Set(resting.map(vm => vm.id))
  const steps = searchBalance({
    // Should a blade die after the moves, its VMs may well come back to where they were before.
    state: createState(compiled.model, new Int32Array(compiled.model.vmCount).fill(NOWHERE)),
    memoryBytes: compiled.blades.map(usableMemoryBytes),
    movable: compiled.model.movable.map((movable, index) =>
      restingIds.has((compiled.vms[index] as VmView).id) ? 0 : movable,
    ),
    mostMoves: MOST_MOVES,
    leastGain: LEAST_GAIN,
  })
  const order = legalOrder(compiled.model, steps) ?? []
  const placed = explainSteps(
    compiled,
    {
      steps: order,
      needs: needsOf(compiled.model, order),
      purpose: 'move',
      company: new Set(),
      roleOf: () => 'balances',
    },
    rooms,
  )
  const plan = assemble(snapshot, '', placed, { ...request, cause: rebalanceCause(request.requestedBy) })
  const before = nPlusOne(snapshot)
  const loads = { before: highestLoad(rooms), after: highestLoad(placed.rooms) }
  return {
    plan,
    text: textOf(plan, before, loads),
    before,
    highestLoadBefore: loads.before,
    highestLoadAfter: loads.after,
    leftAlone: resting.map(
      vm =>
        `${vm.name} was moved lately and is left alone for ${formatDuration(restsForMs(vm, request))} more`,
    ),
  }
}

/** Why, in words: it is never made for any other reason. */
export function rebalanceCause(requestedBy: string): string {
  return `rebalance, asked for by ${requestedBy}`
}

function restsForMs(vm: VmView, { movedAt, cooldownMs, now }: RebalanceRequest): number {
  const at = movedAt.get(vm.id)
  return at === undefined ? 0 : Math.max(0, at + cooldownMs - now)
}

function highestLoad(rooms: Rooms): number {
  return Math.max(
    0,
    ...[...rooms.values()]
      .filter(room => isOpen(room.blade) && usableMemoryBytes(room) > 0)
      .map(room => usedMemoryBytes(room) / usableMemoryBytes(room)),
  )
}

function textOf(plan: Plan, before: NPlusOne, loads: { before: number; after: number }): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`
  const lost = before.notSurvivable.length
  if (plan.moves.length === 0) {
    return lost === 0
      ? `nothing is worth a move: any one blade may fail, and the fullest one uses ${percent(loads.before)} of its memory`
      : `no move helps: ${before.text}`
  }
  const left = plan.nPlusOne.notSurvivable.length
  const gains = [
    ...(lost > 0 && left === 0 ? ['afterwards any one blade may fail'] : []),
    ...(lost > left && left > 0 ? [`afterwards ${left} instead of ${lost} blades could not be lost`] : []),
    ...(percent(loads.after) !== percent(loads.before)
      ? [`the fullest blade goes from ${percent(loads.before)} to ${percent(loads.after)} of its memory`]
      : []),
  ]
  const bytes = plan.moves.reduce((sum, move) => sum + copiedBytes(move), 0)
  return `${plural(plan.moves.length, 'move')} of ${formatBytes(bytes)} in about ${formatDuration(plan.expectedEndMs)}: ${gains.join(', ') || 'the load becomes more even'}`
}
