import { access, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Command, Option } from 'commander'
import { HOUR_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { formatManifest, type Manifest, type ManifestDisk } from '../format/manifest.ts'
import { fileErrorCode } from '../store/files.ts'
import type { PointSummary } from '../vault.ts'
import { show, type VaultCommandContext, withVault } from './context.ts'
import { fileTrouble } from './file-trouble.ts'
import { findPoint } from './find-point.ts'

/** Large disks on slow ones; Ctrl-C ends it earlier. */
const CONVERT_LIMIT_MS = 48 * HOUR_MS

interface ExportOptions {
  readonly vault: string
  readonly format: 'raw' | 'qcow2' | 'tar.gz'
  readonly to: string
  readonly disk?: string
}

export function addExportCommand(program: Command, context: VaultCommandContext): void {
  program
    .command('export')
    .description('write the disks of a restore point to files, checked and read back')
    .argument('<vm[@point]>', 'VM by name or id; without a point, its newest whole one')
    .requiredOption('--vault <dir>', 'directory of the vault')
    .addOption(
      new Option(
        '--format <format>',
        'raw and qcow2: a file for each disk; tar.gz: all of them, the definition and the manifest',
      )
        .choices(['raw', 'qcow2', 'tar.gz'])
        .default('raw'),
    )
    .requiredOption('--to <path>', 'an existing directory, or the file to make; nothing is overwritten')
    .option('--disk <target>', 'only this disk, as vda')
    .addHelpText(
      'after',
      `
Raw files are sparse: zeroes take no room. qcow2 needs qemu-utils, tar.gz Debian's tar.

Examples:
  lifeboat-vault export web01 --vault /srv/vault --to /tmp/web01.raw
  lifeboat-vault export web01@20261128T020512Z --format qcow2 --vault /srv/vault --to /mnt/usb/
  lifeboat-vault export web01 --format tar.gz --vault /srv/vault --to web01.tar.gz`,
    )
    .action((word: string, options: ExportOptions) => exportPoint(context, word, options))
}

async function exportPoint(
  context: VaultCommandContext,
  word: string,
  options: ExportOptions,
): Promise<void> {
  const { point, manifest } = await withVault(context, options.vault, 'read', async store => {
    const found = findPoint(await store.points(), word, options.vault)
    return { point: found, manifest: await store.manifest(found) }
  })
  const disks = manifest.disks.filter(({ target }) => options.disk === undefined || target === options.disk)
  if (disks.length === 0) throw new LifeboatError('not-found', `${word} has no disk '${options.disk}'`)
  const files = await chooseFiles(manifest, disks, options)
  for (const path of files) await requireAbsent(path)
  const work = await makeWorkFolder(dirname(files[0] ?? options.to))
  try {
    const drafts = await fetchDisks(context, point, disks, options, work)
    if (options.format === 'tar.gz') await packAll(context, manifest, disks, drafts, work, files[0] ?? '')
    else await finishDisks(context, disks, drafts, options.format, files)
  } catch (error) {
    throw fileTrouble(`cannot write to ${dirname(work)}`, work, error)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  show(context, { vm: point.vm, point: point.point, files }, () =>
    files.map(path => `${point.vm}@${point.point} => ${path}`).join('\n'),
  )
}

/** One file for each disk; for tar.gz one in all. */
async function chooseFiles(
  { vm, point }: Manifest,
  disks: readonly ManifestDisk[],
  { to, format }: ExportOptions,
): Promise<readonly string[]> {
  const isDirectory = await stat(to).then(
    found => found.isDirectory(),
    () => to.endsWith('/'),
  )
  const isOne = format === 'tar.gz' || disks.length === 1
  if (!isDirectory && isOne) return [to]
  if (!isDirectory) {
    throw new LifeboatError(
      'bad-input',
      `${vm.name} has ${disks.length} disks: --to must be a directory, or give --disk`,
    )
  }
  const name = fileName(vm.name)
  if (format === 'tar.gz') return [join(to, `${name}-${point}.tar.gz`)]
  return disks.map(({ target }) => join(to, `${name}-${fileName(target)}.${format}`))
}

/** A name of a manifest, as part of a file's: a manifest may come from anywhere, and shall not lead out of --to. */
export function fileName(name: string): string {
  const own = basename(name)
  if (own !== '') return own
  throw new LifeboatError('bad-input', `'${name}' of the manifest cannot be the name of a file`)
}

async function requireAbsent(path: string): Promise<void> {
  try {
    await access(path)
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return
    throw fileTrouble(`cannot look for ${path}`, path, error)
  }
  throw new LifeboatError('already-exists', `${path} is there already`)
}

/** Beside what is made, so that a rename is all that is left to do. */
async function makeWorkFolder(directory: string): Promise<string> {
  try {
    await mkdir(directory, { recursive: true })
    return await mkdtemp(join(directory, '.lifeboat-export-'))
  } catch (error) {
    throw fileTrouble(`cannot write to ${directory}`, directory, error)
  }
}

/** The disks as they were backed up, in the work folder. */
async function fetchDisks(
  context: VaultCommandContext,
  point: PointSummary,
  disks: readonly ManifestDisk[],
  { vault }: ExportOptions,
  work: string,
): Promise<readonly string[]> {
  const writes = disks.map(({ target, format }) => ({
    target,
    path: join(work, `${fileName(target)}.${format}`),
    readsZero: true,
  }))
  for (const { path } of writes) await writeFile(path, '')
  await context.transfer.restore(
    { kind: 'restore', vault: { kind: 'directory', path: vault }, ref: point, writes, checked: false },
    {
      signal: context.interrupted,
      onProgress: (done, total) => context.progress(`${point.vm}: exporting`, done, total),
    },
  )
  return writes.map(({ path }) => path)
}

async function finishDisks(
  context: VaultCommandContext,
  disks: readonly ManifestDisk[],
  drafts: readonly string[],
  wanted: 'raw' | 'qcow2',
  files: readonly string[],
): Promise<void> {
  for (const [index, { format }] of disks.entries()) {
    const draft = drafts[index] ?? ''
    const made = format === wanted ? draft : `${draft}.converted`
    if (format !== wanted) {
      context.note(`converting to ${wanted}`)
      await context.run.run(['qemu-img', 'convert', '-f', format, '-O', wanted, draft, made], {
        timeoutMs: CONVERT_LIMIT_MS,
        signal: context.interrupted,
      })
    }
    await rename(made, files[index] ?? '')
  }
}

/** What a person needs who opens it in ten years: the disks, the definition, and the facts. */
async function packAll(
  context: VaultCommandContext,
  manifest: Manifest,
  disks: readonly ManifestDisk[],
  drafts: readonly string[],
  work: string,
  file: string,
): Promise<void> {
  await writeFile(join(work, 'manifest.json'), formatManifest(manifest))
  await writeFile(join(work, 'domain.xml'), manifest.definition)
  context.note(`packing ${disks.length === 1 ? 'one disk' : `${disks.length} disks`}`)
  const made = join(work, 'made.tar.gz')
  const names = ['manifest.json', 'domain.xml', ...drafts.map(path => basename(path))]
  await context.run.run(
    ['tar', '--create', '--gzip', '--sparse', '--file', made, '--directory', work, ...names],
    {
      timeoutMs: CONVERT_LIMIT_MS,
      signal: context.interrupted,
    },
  )
  await rename(made, file)
}
