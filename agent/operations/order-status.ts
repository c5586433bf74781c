import { OrderResult, OrderStatus } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { CommandRecord, OrderState } from '../../shared/domain/operation.ts'
import type { Json, SagaStepView, SagaView } from '../../shared/saga/definition.ts'
import { commandToWire } from '../../shared/wire/convert.ts'
import type { OrderRow } from '../store/order-store.ts'

export interface StatusParts {
  readonly blade: string
  readonly row: OrderRow
  readonly view: SagaView | undefined
  readonly progress: { readonly doneBytes: number; readonly totalBytes: number }
  readonly commands: readonly CommandRecord[]
}

/** What is told of an order: pure, so that a status can be made again at any time. */
export function buildStatus(parts: StatusParts): OrderStatus {
  const { row, view, progress } = parts
  return OrderStatus.fromPartial({
    orderId: row.orderId,
    generation: row.generation,
    state: row.state,
    step: currentStep(view?.steps ?? [])?.name ?? '',
    doneBytes: progress.doneBytes,
    totalBytes: progress.totalBytes,
    result: row.state === 'done' ? buildResult(view?.results ?? {}) : undefined,
    error: row.errorCode === '' ? undefined : { code: row.errorCode, message: row.errorMessage },
    commands: parts.commands.map(record => commandToWire(record, parts.blade)),
  })
}

/** A refusal of an order that is not kept: it follows from what is known, so it needs no memory. */
export function buildRefusal(
  orderId: string,
  generation: number,
  code: string,
  message: string,
): OrderStatus {
  return OrderStatus.fromPartial({ orderId, generation, state: 'refused', error: { code, message } })
}

/** The state of an order by the state of its saga. */
export function orderStateOf(view: SagaView): OrderState {
  return view.state === 'aborting' ? 'running' : view.state
}

/** Steps return what is worth telling under the names of the result's own fields. */
function buildResult(results: Readonly<Record<string, Json | undefined>>): OrderResult {
  const merged: Record<string, Json> = {}
  for (const result of Object.values(results)) {
    if (typeof result === 'object' && result !== null && !Array.isArray(result)) Object.assign(merged, result)
  }
  const number = (field: string): number => {
    const value = merged[field]
    return typeof value === 'number' ? Math.round(value) : 0
  }
  const text = (field: string): string => {
    const value = merged[field]
    return typeof value === 'string' ? value : ''
  }
  const kept = merged.keptVolumes
  return OrderResult.fromPartial({
    downtimeMs: number('downtimeMs'),
    handoverMs: number('handoverMs'),
    transferredBytes: number('transferredBytes'),
    durationMs: number('durationMs'),
    keptVolumes: Array.isArray(kept) ? kept.map(String) : [],
    point: text('point'),
    pauseMs: number('pauseMs'),
    recoveryMs: number('recoveryMs'),
    consistency: text('consistency'),
  })
}

function currentStep(steps: readonly SagaStepView[]): SagaStepView | undefined {
  return (
    steps.find(step => step.state === 'running' || step.state === 'undoing') ??
    steps.find(step => step.state === 'failed' || step.state === 'undo-failed') ??
    steps.findLast(step => step.state === 'done')
  )
}
