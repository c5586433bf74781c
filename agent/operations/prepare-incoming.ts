import { LifeboatError } from '../../shared/errors.ts'
import type { SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import { noteDropped } from './note-dropped.ts'
import { type PrepareParams, parsePrepareParams } from './params.ts'
import type { OperationServices } from './services.ts'

type Context = StepContext<PrepareParams, OperationServices>

/** Target of a move: empty volumes of the same paths, then the door for the source's streams. */
export const prepareIncoming: SagaDefinition<PrepareParams, OperationServices> = {
  kind: 'prepare-incoming',
  parseParams: parsePrepareParams,
  steps: [
    { name: 'check', probe: 'repeat', do: check },
    { name: 'create-volumes', probe: 'repeat', do: createVolumes, undo: discardVolumes },
    { name: 'open-door', probe: 'repeat', do: openDoor, undo: closeDoor },
  ],
}

/** Nothing of that identity may be here: a VM under its id or name is somebody's, running or not. */
async function check({ params, services }: Context): Promise<undefined> {
  const known = services.moves.load(params.moveId)
  if (known?.state === 'discarded') {
    throw new LifeboatError(
      'stale',
      `move ${params.moveId} was discarded here before its order to prepare came`,
    )
  }
  const vms = await services.hypervisor.list()
  const sameId = vms.find(vm => vm.id === params.vmId)
  if (sameId !== undefined) {
    throw new LifeboatError('already-exists', `${sameId.name} is here already, ${sameId.state}`)
  }
  const sameName = vms.find(vm => vm.name === params.vmName)
  if (sameName !== undefined) {
    throw new LifeboatError('already-exists', `another VM named ${params.vmName} is here (${sameName.id})`)
  }
  return undefined
}

async function createVolumes({ params, services }: Context): Promise<{ dropped: string[] }> {
  const dropped: string[] = []
  for (const volume of params.volumes) {
    for (const path of await services.volumes.create(volume, params.moveId, services.run)) {
      dropped.push(path)
      noteDropped(services, path, params.vmName)
    }
  }
  return { dropped }
}

/** Only volumes that bear this move's mark are removed, so a create refused for a foreign volume harms nobody. */
async function discardVolumes({ params, services }: Context): Promise<void> {
  for (const volume of params.volumes) {
    await services.volumes.discard(volume.path, params.moveId, services.run)
  }
}

/** The row is the door: the peer server reads it for each connection, so it is open again after a restart. */
async function openDoor({ params, services }: Context): Promise<undefined> {
  const state = services.moves.load(params.moveId)?.state
  // Repeated after a crash: what is already known of the move must not be thrown back to `prepared`.
  if (state !== undefined) return undefined
  await services.makeSocketDirectories()
  services.moves.put({
    moveId: params.moveId,
    direction: 'in',
    state: 'prepared',
    vmId: params.vmId,
    vmName: params.vmName,
    peerBlade: params.fromBlade,
    peerAddress: '',
    epoch: params.epoch,
    volumes: params.volumes,
    note: {},
  })
  services.log.info(
    `vm ${params.vmName}: absent => expected (move ${params.moveId}, from ${params.fromBlade})`,
  )
  return undefined
}

async function closeDoor({ params, services }: Context): Promise<void> {
  services.moves.advance(params.moveId, ['prepared'], 'discarded')
  const row = services.moves.load(params.moveId)
  if (row !== undefined) await services.closeDoor(row)
}
