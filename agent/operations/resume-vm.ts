import { LifeboatError } from '../../shared/errors.ts'
import type { SagaDefinition } from '../../shared/saga/definition.ts'
import { parseVmParams, type VmParams } from './params.ts'
import type { OperationServices } from './services.ts'

/** Lets a paused VM execute again; never one that a move holds (rule 1). */
export const resumeVm: SagaDefinition<VmParams, OperationServices> = {
  kind: 'resume-vm',
  parseParams: parseVmParams,
  steps: [
    {
      name: 'resume',
      probe: 'repeat',
      do: async ({ params, services }) => {
        const move = services.moves.openOf(params.vmId)
        if (move !== undefined) {
          throw new LifeboatError('refused', `move ${move.moveId} with ${move.peerBlade} holds the VM`)
        }
        await services.hypervisor.resume(params.vmId, services.run)
        return undefined
      },
    },
  ],
}
