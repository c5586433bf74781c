import type { SagaDefinition } from '../../shared/saga/definition.ts'
import { parseVmParams, type VmParams } from './params.ts'
import type { OperationServices } from './services.ts'

/**
 * Pauses a VM because a person asked for it; it stays paused until somebody resumes it. A pause that Lifeboat needs
 * for itself (a snapshot) has a budget and an independent timer (rule 2) and is not made by this order.
 */
export const pauseVm: SagaDefinition<VmParams, OperationServices> = {
  kind: 'pause-vm',
  parseParams: parseVmParams,
  steps: [
    {
      name: 'pause',
      probe: 'repeat',
      do: async ({ params, services }) => {
        // A backup would let the VM go again when its own pause is over.
        await services.standAside(params.vmId)
        await services.hypervisor.pause(params.vmId, services.run)
        return undefined
      },
      // An aborted or failed pause must not leave a VM standing (rule 2).
      undo: async ({ params, services }) => {
        if ((await services.hypervisor.state(params.vmId)) === 'paused') {
          await services.hypervisor.resume(params.vmId, services.run)
        }
      },
    },
  ],
}
