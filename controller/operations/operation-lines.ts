import type { OperationState } from '../../shared/domain/operation.ts'
import type { OperationRecord } from '../store/operations.ts'

/** `plan p1, blade01 → blade02, live, operation o17` */
function circumstances(operation: OperationRecord): string {
  const way =
    operation.from === '' || operation.to === ''
      ? operation.from || operation.to
      : `${operation.from} → ${operation.to}`
  return [
    operation.plan && `plan ${operation.plan}`,
    way,
    operation.method,
    operation.point,
    `operation ${operation.id}`,
  ]
    .filter(part => part !== '')
    .join(', ')
}

/** The line with which an operation begins, for the log and for `lifeboat why`. Pure. */
export function beginLine(operation: OperationRecord): string {
  const begins = `${transition(operation, 'running')} (${circumstances(operation)})`
  // A move of an evacuation has the reason of the whole, and its plan is named: no need to tell it for each VM.
  if (operation.parent !== '') return begins
  return `${begins}: ${operation.cause}${operation.requestedBy === '' ? '' : `, asked by ${operation.requestedBy}`}`
}

/** The one line of a state change: `vm web01: moving => running (plan p1, blade01 → blade02, live, operation o17): …`. */
export function stateLine(operation: OperationRecord, state: OperationState, outcome: string): string {
  return `${transition(operation, state)} (${circumstances(operation)})${outcome === '' ? '' : `: ${outcome}`}`
}

/** A move is told as what becomes of the VM, everything else as what becomes of the operation. */
function transition(operation: OperationRecord, state: OperationState): string {
  const begins = state === 'running'
  if (operation.kind === 'move') {
    const still = operation.method === 'live' ? 'running' : 'stopped'
    if (begins) return `vm ${operation.vm}: ${still} => moving`
    const becomes = state === 'done' || state === 'undone' ? still : state
    return `vm ${operation.vm}: ${operation.state === 'running' ? 'moving' : operation.state} => ${becomes}`
  }
  const what =
    operation.kind === 'evacuate'
      ? operation.from === ''
        ? 'fleet: rebalance'
        : `blade ${operation.from}: evacuation`
      : `vm ${operation.vm}: ${operation.kind}`
  return begins ? `${what} begins` : `${what} ${operation.state} => ${state}`
}
