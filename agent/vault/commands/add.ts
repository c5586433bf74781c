import { readFile, realpath, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { parseVmId, parseVmName } from '../../../shared/domain/ids.ts'
import { formatBytes, formatDuration, SECOND_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { VERSION } from '../../../shared/version.ts'
import { usualChunkBytes } from '../../backup/chunk-size.ts'
import { type DomainParts, parseDomain } from '../../hypervisor/domain-xml.ts'
import { describeImage } from '../../storage/image-files.ts'
import { lvOfPath } from '../../storage/lvm-names.ts'
import type { Manifest, ManifestDraft } from '../format/manifest.ts'
import { formatPoint } from '../format/point.ts'
import type { PointSummary } from '../vault.ts'
import { show, type VaultCommandContext, withVault } from './context.ts'
import { fileTrouble } from './file-trouble.ts'

const TOOL_LIMIT_MS = 30 * SECOND_MS

interface AddOptions {
  readonly vault: string
  readonly name?: string
  readonly definition?: string
}

export function addAddCommand(program: Command, context: VaultCommandContext): void {
  program
    .command('add')
    .description(
      'back up disks of this host into a vault: raw or qcow2 files, block devices, snapshots of them',
    )
    .argument('<vm>', 'name of the VM, or its id')
    .argument(
      '<disk...>',
      'files or block devices, in the order of its disks; nothing may write to them meanwhile',
    )
    .requiredOption('--vault <dir>', 'directory of the vault; made when it is missing or empty')
    .option('--name <name>', 'name of the VM, when it is given by its id')
    .option(
      '--definition <file>',
      'its libvirt XML (virsh dumpxml --inactive), so that it can be restored as a VM',
    )
    .addHelpText(
      'after',
      `
Examples:
  lifeboat-vault add web01 /var/lib/libvirt/images/web01.raw --vault /srv/vault
  virsh dumpxml --inactive web01 > web01.xml
  lifeboat-vault add web01 /dev/vg0/web01-snap --definition web01.xml --vault /srv/vault`,
    )
    .action((vm: string, disks: string[], options: AddOptions) => add(context, vm, disks, options))
}

async function add(
  context: VaultCommandContext,
  word: string,
  paths: readonly string[],
  options: AddOptions,
): Promise<void> {
  const definition = options.definition === undefined ? '' : await readDefinition(options.definition)
  const parts = definition === '' ? undefined : parseDomain(definition)
  const disks = await Promise.all(paths.map(path => describeDisk(context, path)))
  const known = await withVault(context, options.vault, 'create', store => store.points())
  const vm = chooseVm(context, word, options.name, parts, known)
  const at = await freeMoment(context, vm.id, known)
  const targets = chooseTargets(disks.length, parts)
  const before = known.find(point => point.vmId === vm.id && point.manifest !== undefined)?.manifest
  const draft: ManifestDraft = {
    vm,
    point: formatPoint(at),
    at,
    consistency: 'stopped',
    pauseMs: 0,
    definition,
    memoryBytes: parts?.memoryBytes ?? 0,
    vcpus: parts?.vcpus ?? 0,
    disks: disks.map((disk, index) => ({
      ...disk,
      target: targets[index] ?? '',
      chunkBytes: chunkBytesOf(before, targets[index] ?? '', disk.sizeBytes),
    })),
    writer: `lifeboat-vault ${VERSION}`,
  }
  const manifest = await context.transfer.backup(
    {
      kind: 'backup',
      vault: { kind: 'directory', path: options.vault },
      draft,
      reads: draft.disks.map(({ target, path, sizeBytes, chunkBytes }) => ({
        target,
        path,
        sizeBytes,
        chunkBytes,
        changed: undefined,
      })),
      rateLimitBytes: 0,
    },
    {
      signal: context.interrupted,
      onProgress: (done, total) => context.progress(`${vm.name}: reading`, done, total),
    },
  )
  show(context, manifest, renderAdded)
}

function renderAdded({ vm, point, figures }: Manifest): string {
  return `${vm.name}@${point} is listed: ${formatBytes(figures.readBytes)} read, ${formatBytes(figures.storedBytes)} added in ${formatDuration(figures.durationMs)}`
}

async function readDefinition(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw fileTrouble(`cannot read the definition ${path}`, path, error)
  }
}

/** The id: of the definition, as given, or as the vault knows the name; else a new one. */
function chooseVm(
  context: VaultCommandContext,
  word: string,
  name: string | undefined,
  parts: DomainParts | undefined,
  known: readonly PointSummary[],
): { readonly id: string; readonly name: string } {
  if (parts !== undefined) {
    if (word === parts.name || word === parts.id)
      return { id: parts.id, name: parseVmName(name ?? parts.name) }
    throw new LifeboatError('bad-input', `the definition is of ${parts.name} (${parts.id}), not of ${word}`)
  }
  const same = known.find(point => point.vmId === word || point.vm === word)
  if (!isId(word)) return { id: same?.vmId ?? context.ids.next(), name: parseVmName(name ?? word) }
  const chosen = name ?? same?.vm
  if (chosen === undefined) {
    throw new LifeboatError('bad-input', `the vault does not know VM ${word}: give its name with --name`)
  }
  return { id: word, name: parseVmName(chosen) }
}

function isId(word: string): boolean {
  try {
    parseVmId(word)
    return true
  } catch {
    return false
  }
}

/** Restore points of a VM are named by the second. */
async function freeMoment(
  { clock }: VaultCommandContext,
  vmId: string,
  known: readonly PointSummary[],
): Promise<number> {
  const taken = new Set(known.filter(point => point.vmId === vmId).map(({ point }) => point))
  while (taken.has(formatPoint(clock.now()))) await clock.sleep(SECOND_MS)
  return clock.now()
}

function chooseTargets(count: number, parts: DomainParts | undefined): readonly string[] {
  if (parts === undefined) {
    if (count <= 26)
      return Array.from({ length: count }, (_, index) => `vd${String.fromCharCode(97 + index)}`)
    throw new LifeboatError('bad-input', 'more than 26 disks need a definition that names them')
  }
  if (parts.disks.length === count) return parts.disks.map(({ target }) => target)
  throw new LifeboatError(
    'bad-input',
    `the definition has ${parts.disks.length} disks (${parts.disks.map(disk => disk.target).join(', ')}), ${count} are given`,
  )
}

/** A disk keeps the size of its chunks, or the next night finds nothing of it in the vault. */
function chunkBytesOf(before: Manifest | undefined, target: string, sizeBytes: number): number {
  return before?.disks.find(disk => disk.target === target)?.chunkBytes ?? usualChunkBytes(sizeBytes)
}

type DescribedDisk = Pick<
  Manifest['disks'][number],
  'path' | 'sizeBytes' | 'virtualBytes' | 'format' | 'storage' | 'pool'
>

async function describeDisk(context: VaultCommandContext, given: string): Promise<DescribedDisk> {
  try {
    const path = await realpath(given)
    const found = await stat(path)
    if (found.isBlockDevice()) {
      const sizeBytes = await deviceBytes(context, path)
      // Its own name, not /dev/dm-3: a restore makes a volume of that name.
      const lv = lvOfPath(given)
      return {
        path: lv === undefined ? path : given,
        sizeBytes,
        format: 'raw',
        storage: 'thick',
        pool: lv?.group ?? '',
      }
    }
    if (!found.isFile()) throw new LifeboatError('bad-input', `${path} is neither a file nor a block device`)
    if (found.size === 0) throw new LifeboatError('bad-input', `${path} is empty`)
    const image = await describeImage(path)
    if ('error' in image) throw new LifeboatError('bad-input', image.error)
    // The container as it is, so its own length and not that of the disk inside.
    const inside = image.format === 'qcow2' ? { virtualBytes: image.sizeBytes } : {}
    return { path, sizeBytes: found.size, ...inside, format: image.format, storage: 'file', pool: image.pool }
  } catch (error) {
    throw fileTrouble(`cannot read the disk ${given}`, given, error)
  }
}

async function deviceBytes({ run }: VaultCommandContext, path: string): Promise<number> {
  const { stdout } = await run.run(['blockdev', '--getsize64', path], { timeoutMs: TOOL_LIMIT_MS })
  return Number(stdout.trim())
}
