import type { Volume } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, ProbeAnswer, SagaDefinition } from '../../shared/saga/definition.ts'
import { parseRestoreParams, type RestoreParams } from '../operations/params.ts'
import type { OperationServices } from '../operations/services.ts'
import {
  checkPoint,
  createVolumes,
  defineFromPoint,
  type RestoreContext,
  requireFree,
  writeVolumes,
} from './restore-steps.ts'

type Context = RestoreContext<RestoreParams>

/**
 * A VM, or one volume of it, out of a restore point. Nothing here bears the VM's name until its bytes were read back;
 * up to then a failure removes all of it. From the definition on there is only forward: the VM is whole, and a start
 * that fails is for a person to look at, not a reason to throw it away.
 */
export const restoreVm: SagaDefinition<RestoreParams, OperationServices> = {
  kind: 'restore-vm',
  parseParams: parseRestoreParams,
  steps: [
    { name: 'check', probe: 'repeat', do: check },
    createVolumes(wantedVolumes),
    writeVolumes(wantedVolumes),
    { name: 'record-epoch', probe: 'repeat', do: recordEpoch },
    { name: 'define', probe: probeDefine, do: define, cannotUndoBecause: 'the VM is defined here, whole' },
    { name: 'adopt-volumes', probe: 'repeat', do: adoptVolumes },
    { name: 'start', probe: 'repeat', do: start },
  ],
}

function wantedVolumes(params: RestoreParams): readonly Volume[] {
  return params.onlyDisk === ''
    ? params.volumes
    : params.volumes.filter(volume => volume.target === params.onlyDisk)
}

async function check(context: Context): Promise<undefined> {
  const { params } = context
  const volumes = wantedVolumes(params)
  if (volumes.length === 0)
    throw new LifeboatError('bad-input', `no volume is named for disk ${params.onlyDisk}`)
  await checkPoint(context, { volumes, definesVm: params.onlyDisk === '' })
  return undefined
}

/** Before anything could start the VM, so that no crash leaves it running under an epoch nobody wrote down (rule 1). */
async function recordEpoch({ params, services }: Context): Promise<undefined> {
  if (params.onlyDisk === '') services.marks.raiseEpoch(params.vmId, params.epoch)
  return undefined
}

async function define(context: Context): Promise<Json> {
  const { newIdentity, onlyDisk } = context.params
  if (onlyDisk !== '') return { defined: false }
  // Asked again: defining would replace a VM that came by hand while the disks were written.
  await requireFree(context.services, context.params)
  return await defineFromPoint(context, { newIdentity, isolated: false })
}

/** Ours is the VM of that id with the disks that were made for it; any other is somebody's. */
async function probeDefine({ params, services }: Context): Promise<ProbeAnswer> {
  if (params.onlyDisk !== '') return { state: 'not-done' }
  const vm = (await services.hypervisor.list()).find(({ id }) => id === params.vmId)
  const paths = vm?.volumes.map(volume => volume.path) ?? []
  const isOurs = vm !== undefined && params.volumes.every(({ path }) => paths.includes(path))
  return isOurs ? { state: 'done', result: { defined: true } } : { state: 'not-done' }
}

async function adoptVolumes({ params, services }: Context): Promise<undefined> {
  for (const { path } of wantedVolumes(params)) {
    await services.volumes.adopt(path, params.restoreId, services.run)
  }
  const what = params.onlyDisk === '' ? 'absent => restored' : `volume ${params.onlyDisk} restored`
  services.log.info(`vm ${params.vmName}: ${what} (${params.point} of vault ${params.vault.name})`)
  return undefined
}

async function start({ params, services }: Context): Promise<undefined> {
  if (params.start && params.onlyDisk === '') await services.hypervisor.start(params.vmId, services.run)
  return undefined
}
