import * as z from 'zod'
import { BOOT_SIGNS, type BootSign } from '../../shared/domain/backup.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition } from '../../shared/saga/definition.ts'
import { vmToWire } from '../../shared/wire/convert.ts'
import { type OrderRequest, runOrder } from './order-step.ts'
import {
  admitStep,
  grantStep,
  POINT_PARAMS,
  type PointContext,
  vaultForOrder,
  vmForOrder,
} from './point-steps.ts'
import type { OperationServices } from './services.ts'

const PARAMS = z.object({
  ...POINT_PARAMS,
  bootLimitMs: z.number(),
  sign: z.enum(Object.keys(BOOT_SIGNS) as [BootSign, ...BootSign[]]),
})
export type BootTestParams = z.output<typeof PARAMS>

export const BOOT_TEST_LIMIT_MS = 6 * HOUR_MS

/** What the agent calls the step in which it starts the VM and waits for a sign of life. */
const BOOT_STEP = 'boot'

type Context = PointContext<BootTestParams>

/**
 * Is a restore point known to boot? The agent restores it under a name of its own without network, watches it, and
 * removes it all again, however it ends. One that does not boot ends as undone, with that as its reason.
 */
export const bootTestSaga: SagaDefinition<BootTestParams, OperationServices> = {
  kind: 'boot-test',
  parseParams: json => {
    const result = PARAMS.safeParse(json)
    if (result.success) return result.data
    throw new LifeboatError('bad-input', 'the journal holds a boot test this version cannot read')
  },
  steps: [
    // Its VM is new each time: there is no earlier order that could be late.
    admitStep(
      () => 'restore',
      () => MARKS,
      { sparesKept: true },
    ),
    grantStep(),
    { name: 'boot-test', probe: 'repeat', do: test },
  ],
}

const MARKS = { epoch: 1, generation: 1 }

async function test(context: Context): Promise<Json> {
  const { params, services, sagaId } = context
  const value = {
    restoreId: sagaId,
    vault: vaultForOrder(params, services),
    pointVmId: params.pointVmId,
    point: params.point,
    vm: vmToWire(vmForOrder(params, MARKS.epoch)),
    bootLimitMs: params.bootLimitMs,
    sign: params.sign,
  }
  const request: OrderRequest = {
    blade: params.to,
    operation: sagaId,
    step: 'boot-test',
    deadlineAt: params.deadlineAt,
    vmId: params.vmId,
    ...MARKS,
    kind: { $case: 'bootTest', value },
    again: false,
    signal: context.signal,
    onProgress: (done, total) => context.progress(done, total),
  }
  try {
    const outcome = await runOrder(services, request)
    note(context, { ok: true, recoveryMs: outcome.recoveryMs, error: '' })
    return outcome
  } catch (error) {
    if (isVerdict(context, error)) note(context, { ok: false, recoveryMs: 0, error: formatErrorChain(error) })
    throw error
  }
}

/** It was started and did not live. What failed before (no room, no vault) says nothing about the restore point. */
function isVerdict({ services, sagaId }: Context, error: unknown): boolean {
  const code = errorCode(error)
  if (code === 'aborted' || code === 'unavailable') return false
  const steps = services.store.orders.get(`${sagaId}/boot-test`)?.agentSteps ?? []
  return code === 'timeout' || steps.some(step => step.name === BOOT_STEP)
}

function note(
  { params, services, sagaId }: Context,
  found: { readonly ok: boolean; readonly recoveryMs: number; readonly error: string },
): void {
  const { vault, pointVmId, pointVm, point } = params
  const at = services.clock.now()
  services.store.transaction(() => {
    services.store.operations.update(sagaId, { reservation: undefined })
    services.store.backups.addBootTest({
      operation: sagaId,
      vault,
      vmId: pointVmId,
      vm: pointVm,
      point,
      at,
      toldAt: 0,
      ...found,
    })
  })
  services.fleet.touch()
  // The vault hears of it with the next look, also should it be away now.
  services.lookAtVaults()
}
