import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import { type DiscardParams, parseDiscardParams } from './params.ts'
import type { OperationServices } from './services.ts'

type Context = StepContext<DiscardParams, OperationServices>

/** Target of a move that ends without the VM: what was made for it goes, nothing else. */
export const discardIncoming: SagaDefinition<DiscardParams, OperationServices> = {
  kind: 'discard-incoming',
  parseParams: parseDiscardParams,
  steps: [
    // After this the streams are cut and half a VM lies here: there is only forward, by retries if need be.
    {
      name: 'close-door',
      probe: 'repeat',
      do: closeDoor,
      cannotUndoBecause: 'the streams of the move are cut',
    },
    { name: 'destroy-vm', probe: 'repeat', do: destroyVm },
    { name: 'discard-volumes', probe: 'repeat', do: discardVolumes },
  ],
}

/**
 * INVARIANT (rule 1, rule 3): a VM whose source has let go is not discarded: here may be its only running copy.
 * A move never heard of is remembered as discarded, so that a late order to prepare it does not open its door.
 */
async function closeDoor({ params, services }: Context): Promise<Json> {
  const { moves } = services
  services.claimPeerCommands(params.moveId)
  const row = moves.load(params.moveId)
  if (row === undefined) {
    moves.put({
      moveId: params.moveId,
      direction: 'in',
      state: 'discarded',
      vmId: params.vmId,
      vmName: params.vmName,
      peerBlade: '',
      peerAddress: '',
      epoch: params.epoch,
      volumes: [],
      note: {},
    })
    return { known: false }
  }
  if (row.direction !== 'in' || !moves.advance(params.moveId, ['prepared', 'discarded'], 'discarded')) {
    throw new LifeboatError(
      'refused',
      `${row.vmName} is ${row.state} here by move ${params.moveId}: its source has let go, so this is its only copy`,
    )
  }
  await services.closeDoor(row)
  return { known: true }
}

async function destroyVm({ params, services }: Context): Promise<undefined> {
  const { hypervisor } = services
  if (!wasPrepared(params, services)) return undefined
  await hypervisor.destroyIncoming(params.vmId, services.run)
  // A definition arrives with a live migration's last message, and by itself with a cold move.
  if ((await hypervisor.state(params.vmId)) === 'stopped')
    await hypervisor.undefine(params.vmId, services.run)
  return undefined
}

async function discardVolumes({ params, services }: Context): Promise<undefined> {
  for (const volume of moveVolumes(params, services)) {
    await services.volumes.discard(volume.path, params.moveId, services.run)
  }
  services.log.info(`vm ${params.vmName}: expected => absent (move ${params.moveId} discarded)`)
  return undefined
}

function moveVolumes(params: DiscardParams, services: OperationServices) {
  return services.moves.load(params.moveId)?.volumes ?? []
}

/** A memory of a move that was never prepared here names no source; then nothing here is the move's own. */
function wasPrepared(params: DiscardParams, services: OperationServices): boolean {
  return (services.moves.load(params.moveId)?.peerBlade ?? '') !== ''
}
