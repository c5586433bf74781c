import * as z from 'zod'
import type { Order } from '../../proto/gen/lifeboat/v1/intake.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition } from '../../shared/saga/definition.ts'
import { admit } from '../placement/gate.ts'
import { runOrder } from './order-step.ts'
import type { MoveServices } from './services.ts'

export const VM_ACTIONS = {
  start: 'starts the VM where it is',
  stop: 'shuts it down; with force pulls the plug',
  pause: 'stops its execution, keeps its memory',
  resume: 'lets it execute again',
} as const
export type VmAction = keyof typeof VM_ACTIONS

const PARAMS = z.object({
  vmId: z.string(),
  vm: z.string(),
  blade: z.string(),
  force: z.boolean(),
  deadlineAt: z.number(),
})
export type VmActionParams = z.output<typeof PARAMS>

/** start, stop, pause, resume: one order each, a saga all the same, so that it survives a restart and can be aborted. */
export function vmActionSaga(action: VmAction): SagaDefinition<VmActionParams, MoveServices> {
  return {
    kind: action,
    parseParams: json => {
      const result = PARAMS.safeParse(json)
      if (result.success) return result.data
      throw new LifeboatError('bad-input', `the journal holds a ${action} this version cannot read`)
    },
    steps: [
      {
        name: 'admit',
        probe: 'repeat',
        do: async ({ params, services, sagaId }): Promise<Json> => {
          if (action === 'start') checkStart(params, services, sagaId)
          return services.store.vms.raise(params.vmId, false)
        },
      },
      {
        name: action,
        probe: 'repeat',
        do: context => {
          const marks = context.results.admit as { epoch: number; generation: number }
          return runOrder(context.services, {
            blade: context.params.blade,
            operation: context.sagaId,
            step: action,
            deadlineAt: context.params.deadlineAt,
            vmId: context.params.vmId,
            ...marks,
            kind: orderKind(action, context.params.force),
            again: false,
            signal: context.signal,
          })
        },
      },
    ],
  }
}

/** Rules 5 and 6 hold for a start too: a stopped VM takes no memory until then. */
function checkStart(params: VmActionParams, services: MoveServices, operation: string): void {
  const snapshot = services.fleet.snapshot(services.clock.now(), operation)
  const vm = snapshot.vms.find(each => each.id === params.vmId)
  if (vm === undefined) throw new LifeboatError('not-found', `no blade reports ${params.vm} any more`)
  if (vm.state === 'running') return
  const reasons = admit(snapshot, vm, params.blade, { purpose: 'start', override: params.force, operation })
  if (reasons.length === 0) return
  throw new LifeboatError('refused', `${params.vm} may not start on ${params.blade}`, {
    details: reasons.map(reason => reason.text),
  })
}

function orderKind(action: VmAction, force: boolean): NonNullable<Order['kind']> {
  switch (action) {
    case 'start':
      return { $case: 'start', value: {} }
    case 'stop':
      return { $case: 'stop', value: { force } }
    case 'pause':
      return { $case: 'pause', value: {} }
    case 'resume':
      return { $case: 'resume', value: {} }
  }
}
