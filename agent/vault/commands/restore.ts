import type { Command } from 'commander'
import type { Volume } from '../../../shared/domain/fleet.ts'
import { parseVmName } from '../../../shared/domain/ids.ts'
import { formatBytes, formatDuration, SECOND_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { requireWhole } from '../../backup/require-whole.ts'
import { unfitness } from '../../backup/restore-fit.ts'
import type { RestoreFigures } from '../../backup/transfer.ts'
import { parseDomainList } from '../../hypervisor/virsh-text.ts'
import type { Volumes } from '../../storage/volumes.ts'
import type { Manifest } from '../format/manifest.ts'
import { show, type VaultCommandContext, withVault } from './context.ts'
import { findPoint } from './find-point.ts'
import { planVolumes, type RestorePlaces } from './restore-plan.ts'

const TOOL_LIMIT_MS = 30 * SECOND_MS

interface RestoreOptions extends RestorePlaces {
  readonly vault: string
  readonly name?: string
  readonly start: boolean
}

export function addRestoreCommand(program: Command, context: VaultCommandContext): void {
  program
    .command('restore')
    .description('make a VM of a restore point on this host: no controller, no agent, only libvirt and LVM')
    .argument('<vm[@point]>', 'VM by name or id; without a point, its newest whole one')
    .requiredOption('--vault <dir>', 'directory of the vault, or a copy of it')
    .option('--name <name>', 'as a copy under another name, with a fresh id and fresh MAC addresses')
    .option('--vg <group>', 'make its disks thick LVs of this volume group')
    .option('--thin <group/pool>', 'make its disks thin LVs of this pool')
    .option('--images <dir>', 'make its disks files in this directory')
    .option('--start', 'start it when it is there', false)
    .addHelpText(
      'after',
      `
Every chunk is checked before anything is made, and every disk is read back and hashed before the VM is defined. Disks
lie where they were, unless one of --vg, --thin, --images says otherwise. Nothing that is there is overwritten.
This command cannot ask the fleet: a VM that runs elsewhere would be the same machine twice (rule 1): --name is a copy.

Examples:
  lifeboat-vault restore web01 --vault /mnt/vault --start
  lifeboat-vault restore web01@20261128T020512Z --vault /mnt/vault --name web01-test --thin vg0/pool`,
    )
    .action((word: string, options: RestoreOptions) => restore(context, word, options))
}

/** A VM to be made. */
interface Restore {
  readonly id: string
  readonly name: string
  readonly manifest: Manifest
  readonly volumes: readonly Volume[]
  readonly isCopy: boolean
  /** Marks the volumes as ours until the VM is defined; what bears it is removed again when anything fails. */
  readonly restoreId: string
}

async function restore(context: VaultCommandContext, word: string, options: RestoreOptions): Promise<void> {
  const wanted = await planRestore(context, word, options)
  const { volumes, restoreId, name, id } = wanted
  const storage = context.volumes(volumes.filter(({ storage }) => storage === 'file').map(({ pool }) => pool))
  await requireFree(context, wanted)
  if (options.start && !wanted.isCopy) context.note(renderTwice(name))
  await checkPoint(context, wanted, options.vault)
  const figures = await fillVolumes(context, wanted, storage, options.vault)
  const hypervisor = context.hypervisor()
  await keepOrDiscard(context, wanted, storage, async () => {
    const definition = hypervisor.adaptDefinition(wanted.manifest.definition, {
      id,
      name,
      disks: new Map(volumes.map(volume => [volume.target, volume])),
      newIdentity: wanted.isCopy,
      isolated: false,
    })
    await hypervisor.define(definition, context.run)
  })
  for (const { path } of volumes) await storage.adopt(path, restoreId, context.run)
  if (options.start) await hypervisor.start(id, context.run)
  const paths = volumes.map(({ path }) => path)
  show(
    context,
    { vm: name, id, point: wanted.manifest.point, volumes: paths, started: options.start, ...figures },
    () => renderRestored(wanted, figures, options.start),
  )
}

async function planRestore(
  context: VaultCommandContext,
  word: string,
  options: RestoreOptions,
): Promise<Restore> {
  const manifest = await withVault(context, options.vault, 'read', async store =>
    store.manifest(findPoint(await store.points(), word, options.vault)),
  )
  const name = parseVmName(options.name ?? manifest.vm.name)
  const isCopy = name !== manifest.vm.name
  const volumes = planVolumes(manifest, name, options)
  const problems = unfitness(manifest, { volumes, definesVm: true })
  if (problems.length > 0) {
    throw new LifeboatError('refused', `${word} cannot be restored as a VM`, { details: problems })
  }
  const id = isCopy ? context.ids.next() : manifest.vm.id
  return { id, name, manifest, volumes, isCopy, restoreId: context.ids.next() }
}

/** Before anything is made: nothing of that name or id may be here. */
async function requireFree({ run }: VaultCommandContext, { id, name }: Restore): Promise<void> {
  const { stdout } = await run.run(
    ['virsh', '--connect', 'qemu:///system', 'list', '--all', '--uuid', '--name'],
    {
      timeoutMs: TOOL_LIMIT_MS,
    },
  )
  const there = parseDomainList(stdout).find(vm => vm.name === name || vm.id === id)
  if (there === undefined) return
  const how = there.name === name ? 'a VM of that name' : `the VM itself, as ${there.name},`
  throw new LifeboatError('already-exists', `${how} is on this host (${there.id}): give another --name`)
}

async function checkPoint(context: VaultCommandContext, wanted: Restore, vault: string): Promise<void> {
  const ref = { vmId: wanted.manifest.vm.id, point: wanted.manifest.point }
  await withVault(context, vault, 'read', store =>
    requireWhole(store, ref, {
      signal: context.interrupted,
      onProgress: (done, total) => context.progress(`${wanted.name}: checking`, done, total),
    }),
  )
}

async function fillVolumes(
  context: VaultCommandContext,
  wanted: Restore,
  storage: Volumes,
  vault: string,
): Promise<RestoreFigures> {
  const { volumes, restoreId, manifest } = wanted
  return await keepOrDiscard(context, wanted, storage, async () => {
    const writes = []
    for (const volume of volumes) {
      if (context.interrupted.aborted) throw new LifeboatError('aborted', 'stopped on request')
      const dropped = await storage.create(volume, restoreId, context.run)
      for (const path of dropped)
        context.note(`${path}, kept of a VM that moved away, was dropped for the room`)
      writes.push({ target: volume.target, ...(await storage.directAccess(volume.path, restoreId)) })
    }
    return await context.transfer.restore(
      {
        kind: 'restore',
        checked: true,
        vault: { kind: 'directory', path: vault },
        ref: { vmId: manifest.vm.id, point: manifest.point },
        writes,
      },
      {
        signal: context.interrupted,
        onProgress: (done, total) => context.progress(`${wanted.name}: restoring`, done, total),
      },
    )
  })
}

/** When it fails, no volume of this restore stays; what is anybody else's does not bear its mark. */
async function keepOrDiscard<T>(
  context: VaultCommandContext,
  { volumes, restoreId }: Restore,
  storage: Volumes,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act()
  } catch (error) {
    for (const { path } of volumes) {
      await storage.discard(path, restoreId, context.run).catch(failure => {
        context.log.warn('a volume of the failed restore stays', { path, restoreId, error: failure })
      })
    }
    throw error
  }
}

/** Told before the work, while it can be stopped: nobody here knows where else the VM runs. */
function renderTwice(name: string): string {
  return `this command cannot ask the fleet: if ${name} still runs elsewhere, it will be the same machine twice (rule 1): use --name for a copy`
}

function renderRestored(
  { name, id, manifest, volumes }: Restore,
  figures: RestoreFigures,
  started: boolean,
): string {
  return [
    `${name} (${id}) is defined${started ? ' and runs' : ''}, as it was at ${manifest.point}`,
    ...volumes.map(volume => `  ${volume.target}  ${volume.path}  ${formatBytes(volume.sizeBytes)}`),
    `  ${formatBytes(figures.writtenBytes)} written and read back in ${formatDuration(figures.durationMs)}`,
    ...(started ? [] : [`  virsh start ${name}`]),
  ].join('\n')
}
