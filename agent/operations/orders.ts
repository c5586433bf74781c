import type { OrderState } from '../../shared/domain/operation.ts'
import type { ErrorCode } from '../../shared/errors.ts'

/** What an order says of itself before its contents matter. */
export interface OrderHeader {
  readonly orderId: string
  readonly kind: OrderKind
  readonly vmId: string
  readonly generation: number
  readonly epoch: number
  readonly deadlineAt: number
  /** Of move orders; empty otherwise. */
  readonly moveId: string
}

/** Every order kind with its saga kind being the same word. */
export const ORDER_KINDS = {
  'start-vm': 'starts a VM that is here',
  'stop-vm': 'shuts a VM down',
  'pause-vm': 'stops its execution, keeps its memory',
  'resume-vm': 'lets it execute again',
  'prepare-incoming': 'target: makes the volumes, opens the door',
  'send-live': 'source: migrates the running VM',
  'send-cold': 'source: copies the volumes of a VM that is off',
  'confirm-incoming': 'target: the source has let go, the VM runs here',
  'discard-incoming': 'target: the move ends without the VM',
  'release-source': 'source: the target is confirmed, the volumes are kept for the grace time',
  'backup-vm': 'one restore point, now',
  'restore-vm': 'writes a restore point to new volumes and defines the VM',
  'boot-test': 'restores under a name of its own, watches it boot, removes it again',
} as const
export type OrderKind = keyof typeof ORDER_KINDS

/** What this agent remembers that bears on an order, read in one go. */
export interface Known {
  /** The same order id, if it, or an abort of it, came before. */
  readonly sameOrder:
    | {
        readonly state: OrderState
        readonly vmId: string
        /** Empty for an abort that came before its order. */
        readonly kind: string
        readonly generation: number
      }
    | undefined
  readonly generation: number
  readonly epoch: number
  /** The order that works on this VM now; a backup does not count, for it stands aside. */
  readonly working: { readonly orderId: string; readonly kind: string } | undefined
  /** The order that backs this VM up now. */
  readonly backingUp: { readonly orderId: string; readonly kind: string } | undefined
  /** The move that holds the VM, if any. */
  readonly move:
    | {
        readonly moveId: string
        readonly direction: 'in' | 'out'
        readonly state: string
        readonly epoch: number
        readonly peerBlade: string
      }
    | undefined
}

export type OrderDecision =
  | { readonly action: 'run' }
  | { readonly action: 'answer-existing' }
  | { readonly action: 'refuse'; readonly code: ErrorCode; readonly message: string }

/**
 * Shall this order be carried out? Refusals are not remembered: they follow from what is known, so the same order
 * gets the same answer, and a `busy` one may be sent again.
 */
export function decideOrder(order: OrderHeader, known: Known, now: number): OrderDecision {
  const { sameOrder } = known
  if (sameOrder !== undefined) {
    if (sameOrder.kind === '' || isSameOrder(order, sameOrder)) return { action: 'answer-existing' }
    // A controller restored from a backup counts its operations anew. Answering with the end of the older order would
    // tell it that a VM left, or was confirmed, when nothing of the kind was done.
    return refuse(
      'stale',
      `order ${order.orderId} was another order once (${sameOrder.kind} of VM ${sameOrder.vmId}): the controller's database is older than what this blade has done`,
    )
  }
  // Rule 1: an order that was overtaken by a newer intention must not be carried out, however late it arrives.
  if (order.generation < known.generation) {
    return refuse(
      'stale',
      `order ${order.orderId} carries generation ${order.generation}, this blade has already acted on ${known.generation}`,
    )
  }
  if (order.epoch < known.epoch) {
    return refuse(
      'stale',
      `order ${order.orderId} carries epoch ${order.epoch}, the VM is known under epoch ${known.epoch}: it may run elsewhere`,
    )
  }
  if (order.deadlineAt <= now) {
    return refuse(
      'timeout',
      `the deadline of order ${order.orderId} had passed when it arrived: it was late, or the clocks of blade and controller differ`,
    )
  }
  const working = known.working ?? (order.kind === 'backup-vm' ? known.backingUp : undefined)
  if (working !== undefined) {
    return refuse('busy', `order ${working.orderId} (${working.kind}) works on this VM`)
  }
  return decideHold(order, known.move)
}

function isSameOrder(order: OrderHeader, known: NonNullable<Known['sameOrder']>): boolean {
  return order.kind === known.kind && order.vmId === known.vmId && order.generation === known.generation
}

/** Orders of no move that nevertheless must not meet one. */
const NOT_IN_A_MOVE: readonly OrderKind[] = ['backup-vm', 'restore-vm', 'boot-test']

/**
 * A move holds its VM at both ends until it is confirmed or discarded. Only the move's own orders go through, and,
 * at the source, a start under a *higher* epoch: the controller raises the epoch only when it knows that the VM
 * runs nowhere else, which is how a person gets a VM back whose target was lost.
 */
function decideHold(order: OrderHeader, move: Known['move']): OrderDecision {
  if (move === undefined || move.moveId === order.moveId) return { action: 'run' }
  if (move.direction === 'in') {
    return refuse(
      'refused',
      `the VM is arriving from ${move.peerBlade} by move ${move.moveId}, which is not confirmed`,
    )
  }
  const wouldRun = order.kind === 'start-vm' || order.kind === 'resume-vm'
  if (order.kind === 'start-vm' && order.epoch > move.epoch) return { action: 'run' }
  if (wouldRun && move.state !== 'held') {
    return refuse(
      'refused',
      `the VM went to ${move.peerBlade} by move ${move.moveId}; it may run there, so it is not started here (rule 1)`,
    )
  }
  if (order.moveId !== '' || NOT_IN_A_MOVE.includes(order.kind)) {
    return refuse('refused', `move ${move.moveId} holds the VM`)
  }
  return { action: 'run' }
}

function refuse(code: ErrorCode, message: string): OrderDecision {
  return { action: 'refuse', code, message }
}
