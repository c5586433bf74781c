import { Order, type OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import { ERROR_CODES, type ErrorCode, LifeboatError } from '../../shared/errors.ts'
import type { Json } from '../../shared/saga/definition.ts'
import type { OperationServices } from './services.ts'

export interface OrderRequest {
  readonly blade: string
  readonly operation: string
  readonly step: string
  readonly deadlineAt: number
  readonly vmId: string
  readonly epoch: number
  readonly generation: number
  readonly kind: NonNullable<Order['kind']>
  /**
   * Past the point of no return, and in an undo, a failed order is given anew under a new id. Elsewhere a failure is
   * an answer that stays: the same question after a restart must not begin the work again.
   */
  readonly again: boolean
  readonly signal: AbortSignal
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

/** What a finished order told, as plain JSON for the journal. */
export interface OrderOutcome {
  readonly [key: string]: Json
  readonly downtimeMs: number
  readonly handoverMs: number
  readonly transferredBytes: number
  readonly durationMs: number
  /** A backup: the restore point, how long the guest stood still, what was achieved. */
  readonly point: string
  readonly pauseMs: number
  readonly consistency: string
  /** A boot test. */
  readonly recoveryMs: number
}

/** Of an order whose result was never told. */
export const NO_OUTCOME: OrderOutcome = {
  downtimeMs: 0,
  handoverMs: 0,
  transferredBytes: 0,
  durationMs: 0,
  point: '',
  pauseMs: 0,
  consistency: '',
  recoveryMs: 0,
}

/** Gives one order and waits for its end. Throws the agent's own error when it ended in anything but `done`. */
export async function runOrder(services: OperationServices, request: OrderRequest): Promise<OrderOutcome> {
  const order = Order.fromPartial({
    orderId: nextOrderId(services, request),
    generation: request.generation,
    deadlineAt: request.deadlineAt,
    vmId: request.vmId,
    epoch: request.epoch,
    kind: request.kind,
  })
  const status = await services.orders.execute(request.blade, order, {
    signal: request.signal,
    onProgress: request.onProgress,
  })
  if (status.state !== 'done') throw orderError(request, status)
  const { result } = status
  if (result === undefined) return NO_OUTCOME
  const { downtimeMs, handoverMs, transferredBytes, durationMs, point, pauseMs, consistency, recoveryMs } =
    result
  return { downtimeMs, handoverMs, transferredBytes, durationMs, point, pauseMs, consistency, recoveryMs }
}

/** `o17/send`; when that was given and failed, and may be given again, `o17/send.2`. */
function nextOrderId(services: OperationServices, request: OrderRequest): string {
  const first = `${request.operation}/${request.step}`
  if (!request.again) return first
  for (let attempt = 1; ; attempt += 1) {
    const id = attempt === 1 ? first : `${first}.${attempt}`
    const known = services.store.orders.get(id)
    if (known === undefined || known.endedAt === 0 || known.state === 'done') return id
  }
}

/** What a person reads of a step whose name is no verb as it stands. */
const VERBS: Readonly<Record<string, string>> = {
  backup: 'back up',
  'boot-test': 'make the boot test',
  'prepare-target': 'prepare for the VM',
  'discard-target': 'discard what was prepared for the VM',
  'confirm-target': 'confirm that the VM is there',
  'release-source': 'release the VM',
}

function orderError(request: OrderRequest, status: OrderStatus): LifeboatError {
  const told = status.error
  const code: ErrorCode =
    told !== undefined && told.code in ERROR_CODES ? (told.code as ErrorCode) : 'internal'
  const cause = new LifeboatError(code, told?.message || `order ${status.orderId} ended as ${status.state}`)
  // The code of the whole is the agent's: a retry is decided by it. A VM that is busy with another order frees itself.
  const whole =
    status.state === 'needs-admin' ? 'needs-admin' : code === 'busy' && request.again ? 'unavailable' : code
  return new LifeboatError(whole, `${request.blade} could not ${VERBS[request.step] ?? request.step}`, {
    cause,
  })
}
