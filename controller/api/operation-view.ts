import { Operation, type Step } from '../../proto/gen/lifeboat/v1/admin.ts'
import type { HeldBack } from '../evacuation/policy.ts'
import type { PlannedMove } from '../placement/plan.ts'
import type { EvacuationRecord } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { OrderRecord } from '../store/orders.ts'
import type { ApiContext } from './context.ts'

type Sources = Pick<ApiContext, 'store' | 'operations' | 'reconciler'>

/** Everything of one operation: its steps with the agents' own steps between them, and what exactly was run. */
export function operationToWire(
  { store, operations, reconciler }: Sources,
  known: OperationRecord,
): Operation {
  // Read again: between the caller's read and now it may have gone on.
  const operation = store.operations.get(known.id) ?? known
  const orders = store.orders.ofOperation(operation.id)
  const progress = operation.endedAt === 0 ? operations.progress(operation.id) : operation
  const evacuation = operation.kind === 'evacuate' ? store.evacuations.get(operation.id) : undefined
  return {
    id: operation.id,
    kind: operation.kind,
    state: operation.state,
    vm: operation.vm,
    from: operation.from,
    to: operation.to,
    method: operation.method,
    plan: operation.plan,
    parent: operation.parent,
    children:
      operation.kind === 'evacuate' ? store.operations.children(operation.id).map(child => child.id) : [],
    cause: operation.cause,
    requestedBy: operation.requestedBy,
    startedAt: operation.startedAt,
    endedAt: operation.endedAt,
    deadlineAt: operation.deadlineAt,
    steps: operation.steps.flatMap(step => [{ ...step }, ...agentSteps(step.name, orders)]),
    commands: orders
      .flatMap(order => order.commands)
      .sort((a, b) => a.startedAt - b.startedAt)
      .map(command => ({ ...command })),
    downtimeMs: operation.downtimeMs,
    handoverMs: operation.handoverMs,
    doneBytes: progress.doneBytes,
    totalBytes: progress.totalBytes,
    outcome: operation.outcome || (evacuation === undefined ? '' : soFar(evacuation, reconciler().heldBack)),
    nextCommand: operation.nextCommand,
    point: operation.point,
    pauseMs: operation.pauseMs,
    recoveryMs: operation.recoveryMs,
  }
}

/** `1 of 4 VMs moved, moving now: web01 db01`: what a person watches for the minutes an evacuation takes. */
function soFar({ operation, moves }: EvacuationRecord, heldBack: readonly HeldBack[]): string {
  const newest = [...new Map(moves.map(move => [move.vmId, move])).values()]
  const moved = newest.filter(move => move.state === 'done').length
  const failed = newest.filter(move => move.state === 'failed').map(move => move.vm)
  const moving = newest.filter(move => move.state === 'running').map(move => move.vm)
  const waits = heldBack.some(each => each.operation === operation)
  return [
    `${moved} of ${newest.length} VMs moved`,
    ...(failed.length === 0 ? [] : [`failed: ${failed.join(' ')}`]),
    ...(moving.length === 0 ? [] : [`moving now: ${moving.join(' ')}`]),
    ...(waits ? ['held back: `lifeboat status` says by what'] : []),
  ].join(', ')
}

/** `send/migrate (blade01)`: what the agent was at within a step. An undo's order stands under the step it undoes. */
function agentSteps(step: string, orders: readonly OrderRecord[]): Step[] {
  return orders
    .filter(order => stepOf(order.id) === step)
    .flatMap(order =>
      order.agentSteps.map((agentStep, index): Step => {
        const next = order.agentSteps[index + 1]
        const isLast = next === undefined
        const ended = next?.startedAt ?? order.endedAt
        const failed = isLast && order.endedAt > 0 && order.state !== 'done'
        return {
          name: `${step}/${agentStep.name} (${order.blade})`,
          state: ended === 0 ? 'running' : failed ? 'failed' : 'done',
          startedAt: agentStep.startedAt,
          endedAt: ended,
          error: failed ? (order.status.error?.message ?? '') : '',
        }
      }),
    )
}

/** `o17/send.2` → `send`; discarding is how `prepare-target` is undone. */
function stepOf(orderId: string): string {
  const name = (orderId.split('/')[1] ?? '').replace(/\.\d+$/, '')
  return name === 'discard-target' ? 'prepare-target' : name
}

/** A migration that was only asked about. */
export function plannedOperation(move: PlannedMove, cause: string): Operation {
  return Operation.fromPartial({
    kind: 'move',
    state: 'planned',
    vm: move.vm,
    from: move.from,
    to: move.to,
    method: move.method,
    cause,
    outcome: `${move.vm} would go to ${move.to} (${move.method}); nothing was moved`,
  })
}
