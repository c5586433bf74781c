import type { Volume } from '../../shared/domain/fleet.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaStep, StepContext } from '../../shared/saga/definition.ts'
import { noteDropped } from '../operations/note-dropped.ts'
import type { PointParams } from '../operations/params.ts'
import type { OperationServices } from '../operations/services.ts'
import type { CreateOptions } from '../storage/volumes.ts'
import type { Manifest } from '../vault/format/manifest.ts'
import { requireWhole } from './require-whole.ts'
import { unfitness } from './restore-fit.ts'
import { askVault } from './vaults.ts'

// What a restore and a boot test have in common: from a restore point to written, read-back volumes nobody uses yet.

export type RestoreContext<P extends PointParams = PointParams> = StepContext<P, OperationServices>
type Step<P extends PointParams> = SagaStep<P, OperationServices>

/** The manifest of the restore point, from its vault. */
export async function readManifest({ params, services }: RestoreContext): Promise<Manifest> {
  return await askVault(services.vaults, services.vaultAccess(params.vault), vault =>
    vault.manifest({ vmId: params.pointVmId, point: params.point }),
  )
}

/**
 * Nothing is touched here: the manifest fits the VM that was ordered, its name and id are free (`definesVm`), and
 * every chunk is there and good. A vault that holds damaged data is found out now, not half way.
 * Throws `refused`, `already-exists`, or why the vault cannot be asked.
 */
export async function checkPoint(
  context: RestoreContext,
  wanted: { readonly volumes: readonly Volume[]; readonly definesVm: boolean },
): Promise<void> {
  const { params, services, signal, progress } = context
  const manifest = await readManifest(context)
  const problems = unfitness(manifest, wanted)
  if (problems.length > 0) {
    throw new LifeboatError('refused', `restore point ${params.point} does not fit ${params.vmName}`, {
      details: problems,
    })
  }
  if (wanted.definesVm) await requireFree(services, params)
  const ref = { vmId: params.pointVmId, point: params.point }
  await askVault(services.vaults, services.vaultAccess(params.vault), vault =>
    requireWhole(vault, ref, { signal, onProgress: progress }),
  )
}

/** Nothing of that identity may be here: a VM under its id or name is somebody's, running or not. */
export async function requireFree(services: OperationServices, params: PointParams): Promise<void> {
  const vms = await services.hypervisor.list()
  const there = vms.find(vm => vm.id === params.vmId) ?? vms.find(vm => vm.name === params.vmName)
  if (there === undefined) return
  throw new LifeboatError('already-exists', `${there.name} (${there.id}) is on this blade, ${there.state}`)
}

/** Empty volumes that bear the mark of the restore. Only what bears it is ever removed again. */
export function createVolumes<P extends PointParams>(
  volumesOf: (params: P) => readonly Volume[],
  how: CreateOptions = {},
): Step<P> {
  return {
    name: 'create-volumes',
    probe: 'repeat',
    do: async ({ params, services }) => {
      for (const volume of volumesOf(params)) {
        for (const path of await services.volumes.create(volume, params.restoreId, services.run, how)) {
          noteDropped(services, path, params.vmName)
        }
      }
      return undefined
    },
    undo: async context => await discardVolumes(context, volumesOf(context.params)),
  }
}

export async function discardVolumes(
  { params, services }: RestoreContext,
  volumes: readonly Volume[],
): Promise<void> {
  for (const { path } of volumes) await services.volumes.discard(path, params.restoreId, services.run)
}

/** Fills the volumes; done when all is durable and was read back. Repeating it writes the same bytes again. */
export function writeVolumes<P extends PointParams>(volumesOf: (params: P) => readonly Volume[]): Step<P> {
  return {
    name: 'write',
    probe: 'repeat',
    do: async ({ params, services, signal, progress }) => {
      const writes = []
      for (const { target, path } of volumesOf(params)) {
        writes.push({ target, ...(await services.volumes.directAccess(path, params.restoreId)) })
      }
      const ref = { vmId: params.pointVmId, point: params.point }
      const vault = services.vaultAccess(params.vault)
      const job = { kind: 'restore', vault, ref, writes, checked: true } as const
      const figures = await services.transfer.restore(job, { signal, onProgress: progress })
      services.log.info(
        `vm ${params.vmName}: ${formatBytes(figures.writtenBytes)} written from ${params.point} of vault ${params.vault.name}`,
      )
      return { transferredBytes: figures.receivedBytes, durationMs: figures.durationMs }
    },
  }
}

/** Defines the VM from what the backup kept, under its identity to be. */
export async function defineFromPoint(
  context: RestoreContext,
  changes: { readonly newIdentity: boolean; readonly isolated: boolean },
): Promise<Json> {
  const { params, services } = context
  const { definition } = await readManifest(context)
  const text = services.hypervisor.adaptDefinition(definition, {
    id: params.vmId,
    name: params.vmName,
    disks: new Map(params.volumes.map(volume => [volume.target, volume])),
    ...changes,
  })
  await services.hypervisor.define(text, services.run)
  return { defined: true }
}
