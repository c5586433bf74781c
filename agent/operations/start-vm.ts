import { LifeboatError } from '../../shared/errors.ts'
import type { SagaDefinition } from '../../shared/saga/definition.ts'
import { parseVmParams, type VmParams } from './params.ts'
import type { OperationServices } from './services.ts'

/**
 * Starts a VM that is defined here. That no move holds it and that its epoch has not moved on was checked when the
 * order was accepted; the check is repeated because an accepted order may wait out a restart.
 */
export const startVm: SagaDefinition<VmParams, OperationServices> = {
  kind: 'start-vm',
  parseParams: parseVmParams,
  steps: [
    {
      name: 'check',
      probe: 'repeat',
      do: async ({ params, services }) => {
        const epoch = services.marks.of(params.vmId).epoch
        if (params.epoch < epoch) {
          throw new LifeboatError(
            'stale',
            `epoch ${epoch} of the VM has been given out; this order has ${params.epoch}`,
          )
        }
        const move = services.moves.openOf(params.vmId)
        if (move !== undefined && !(move.direction === 'out' && params.epoch > move.epoch)) {
          throw new LifeboatError('refused', `move ${move.moveId} with ${move.peerBlade} holds the VM`)
        }
        if ((await services.hypervisor.state(params.vmId)) === 'absent') {
          throw new LifeboatError('not-found', `${params.vmName} is not defined on this blade`)
        }
        return undefined
      },
    },
    {
      // Before the start, so that no crash leaves a VM running under an epoch nobody wrote down. Raising it when the
      // start then fails is harmless: the controller has given the VM to this blade either way.
      name: 'record-epoch',
      probe: 'repeat',
      do: async ({ params, services }) => {
        const move = services.moves.openOf(params.vmId)
        if (move?.direction === 'out') services.moves.remove(move.moveId)
        services.marks.raiseEpoch(params.vmId, params.epoch)
        return undefined
      },
    },
    {
      name: 'start',
      probe: 'repeat',
      do: async ({ params, services }) => {
        await services.hypervisor.start(params.vmId, services.run)
        return undefined
      },
    },
  ],
}
