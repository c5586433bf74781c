import * as z from 'zod'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition } from '../../shared/saga/definition.ts'
import { vmToWire } from '../../shared/wire/convert.ts'
import { runOrder } from './order-step.ts'
import {
  admitStep,
  grantStep,
  POINT_PARAMS,
  type PointContext,
  plannedVm,
  vaultForOrder,
  vmForOrder,
} from './point-steps.ts'
import type { OperationServices } from './services.ts'

const PARAMS = z.object({
  ...POINT_PARAMS,
  /** It has another name than the VM that was backed up: fresh MAC addresses too. */
  newIdentity: z.boolean(),
  start: z.boolean(),
  /** Target of the one disk that comes back as a volume; empty: the whole VM. */
  onlyDisk: z.string(),
})
export type RestoreParams = z.output<typeof PARAMS>

export const RESTORE_LIMIT_MS = 24 * HOUR_MS

type Context = PointContext<RestoreParams>

/**
 * A restore point becomes a VM again, or one disk of it a volume. Room and epoch first (rules 1 and 5), then the right
 * to read the point, then the one order; the target's agent checks the data before it touches anything, and undoes
 * itself when it fails.
 */
export const restoreSaga: SagaDefinition<RestoreParams, OperationServices> = {
  kind: 'restore',
  parseParams: json => {
    const result = PARAMS.safeParse(json)
    if (result.success) return result.data
    throw new LifeboatError('bad-input', 'the journal holds a restore this version cannot read')
  },
  steps: [
    admitStep(params => (params.onlyDisk === '' ? 'restore' : 'volume'), marksOf),
    grantStep(),
    {
      name: 'restore',
      probe: 'repeat',
      do: restore,
      cannotUndoBecause: 'it is written and read back: to remove a VM is for a person',
    },
  ],
}

function marksOf({ params, services }: Context): { epoch: number; generation: number } {
  if (params.onlyDisk !== '') return { epoch: 1, generation: 1 }
  const { vms } = services.store
  vms.seen({ id: params.vmId, name: params.vm, epoch: 0 }, services.clock.now())
  return vms.raise(params.vmId, true)
}

async function restore(context: Context): Promise<Json> {
  const { params, services, sagaId } = context
  const marks = context.results.admit as { epoch: number; generation: number }
  const value = {
    restoreId: sagaId,
    vault: vaultForOrder(params, services),
    pointVmId: params.pointVmId,
    point: params.point,
    vm: vmToWire(vmForOrder(params, marks.epoch)),
    newIdentity: params.newIdentity,
    start: params.start,
    onlyDisk: params.onlyDisk,
  }
  try {
    const outcome = await runOrder(services, {
      blade: params.to,
      operation: sagaId,
      step: 'restore',
      deadlineAt: params.deadlineAt,
      vmId: params.vmId,
      ...marks,
      kind: { $case: 'restore', value },
      again: false,
      signal: context.signal,
      onProgress: (done, total) => context.progress(done, total),
    })
    noteArrival(context, marks.epoch)
    return outcome
  } catch (error) {
    if (!isUnanswered(context, error)) throw error
    throw new LifeboatError('needs-admin', `nobody knows whether ${params.vm} was restored on ${params.to}`, {
      cause: error,
    })
  }
}

/** The order went out and its end was never told. One that never went out has changed nothing. */
function isUnanswered({ services, sagaId }: Context, error: unknown): boolean {
  if (!(error instanceof LifeboatError) || error.code !== 'unavailable') return false
  const sent = services.store.orders.get(`${sagaId}/restore`)
  return sent !== undefined && sent.endedAt === 0
}

/** The order's word stands until the agent has looked again, as after a move. */
function noteArrival({ params, services, sagaId }: Context, epoch: number): void {
  const state = plannedVm(params).state
  services.store.transaction(() => {
    services.store.operations.update(sagaId, { reservation: undefined })
    if (params.onlyDisk !== '') return
    const vm = { ...vmForOrder(params, epoch), state }
    services.store.vms.place(params.vmId, params.to, services.clock.now(), vm)
  })
  services.fleet.touch()
}
