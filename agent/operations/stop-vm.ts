import type { SagaDefinition } from '../../shared/saga/definition.ts'
import { parseStopParams, type StopParams } from './params.ts'
import type { OperationServices } from './services.ts'

/**
 * Shuts a VM down, orderly within the order's deadline, or at once with `force`. Has no undo: a guest that was told
 * to shut down has begun to, and starting it again against somebody's word would be worse than leaving it.
 */
export const stopVm: SagaDefinition<StopParams, OperationServices> = {
  kind: 'stop-vm',
  parseParams: parseStopParams,
  steps: [
    {
      name: 'stop',
      probe: 'repeat',
      do: async ({ params, services }) => {
        // Ends before the deadline does, so that the answer is "did not shut down in time", not a cut-off step.
        const timeoutMs = Math.max(1000, params.deadlineAt - services.clock.now() - 3000)
        await services.hypervisor.stop(params.vmId, params.force, timeoutMs, services.run)
        return undefined
      },
    },
  ],
}
