import { errorCode, LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import type { MoveRow } from '../store/move-store.ts'
import { parseReleaseParams, type ReleaseParams } from './params.ts'
import type { OperationServices } from './services.ts'
import { isOff } from './vm-state.ts'

type Context = StepContext<ReleaseParams, OperationServices>

/**
 * Source of a move, at its end: the target is confirmed, so what is left here is kept for the grace time (rule 3)
 * under another name. The volumes go first: without them not even `virsh start` by hand brings the old VM up (rule 1).
 */
export const releaseSource: SagaDefinition<ReleaseParams, OperationServices> = {
  kind: 'release-source',
  parseParams: parseReleaseParams,
  steps: [
    { name: 'check', probe: 'repeat', do: check },
    {
      name: 'record-epoch',
      probe: 'repeat',
      do: async ({ params, services }) => {
        // From here on an order under the old epoch is refused, also when this one dies half way.
        services.marks.raiseEpoch(params.vmId, params.epoch)
        return undefined
      },
      cannotUndoBecause: 'the VM belongs to its new blade',
    },
    { name: 'keep-volumes', probe: 'repeat', do: keepVolumes },
    { name: 'undefine', probe: 'repeat', do: undefine },
  ],
}

async function check({ params, services }: Context): Promise<undefined> {
  const row = rowOf(services, params)
  if (row.state !== 'released' && row.state !== 'gone') {
    throw new LifeboatError('refused', `move ${params.moveId} is ${row.state} here: the VM has not left`)
  }
  const state = await services.hypervisor.state(params.vmId)
  if (!isOff(state)) {
    throw new LifeboatError(
      'refused',
      `${params.vmName} is ${state} on this blade: nothing of it is put away`,
    )
  }
  return undefined
}

async function keepVolumes({ params, services }: Context): Promise<Json> {
  const { kept, clock } = services
  const keptVolumes: string[] = []
  for (const volume of rowOf(services, params).volumes) {
    const path = await keep(services, params, volume.path)
    if (path === undefined) continue
    keptVolumes.push(path)
    kept.put({
      path,
      moveId: params.moveId,
      vmName: params.vmName,
      sizeBytes: volume.sizeBytes,
      expiresAt: clock.now() + params.graceMs,
    })
  }
  return { keptVolumes }
}

/**
 * Undefined when it is gone: what an attempt before a restart kept may have been dropped since, for room (rule 3). The VM runs
 * elsewhere, so a source that is missing must not keep this blade from letting it go.
 */
async function keep(
  { volumes, run, log }: OperationServices,
  { moveId, vmName }: ReleaseParams,
  path: string,
): Promise<string | undefined> {
  try {
    return await volumes.keep(path, moveId, run)
  } catch (error) {
    if (errorCode(error) !== 'not-found') throw error
    log.warn(`vm ${vmName}: ${path} is gone and cannot be kept (move ${moveId})`)
    return undefined
  }
}

async function undefine({ params, services }: Context): Promise<undefined> {
  if ((await services.hypervisor.state(params.vmId)) !== 'absent') {
    await services.hypervisor.undefine(params.vmId, services.run)
  }
  services.moves.advance(params.moveId, ['released'], 'gone')
  services.log.info(`vm ${params.vmName}: left => gone (move ${params.moveId}, epoch ${params.epoch})`)
  return undefined
}

function rowOf(services: OperationServices, params: ReleaseParams): MoveRow {
  const row = services.moves.load(params.moveId)
  if (row === undefined || row.direction !== 'out') {
    throw new LifeboatError('not-found', `no move ${params.moveId} away from this blade is known`)
  }
  return row
}
