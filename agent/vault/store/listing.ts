import fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod'
import { errorCode, formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import { indexBytes } from '../format/index.ts'
import { type Manifest, parseManifest } from '../format/manifest.ts'
import { isPointRef, POINT, type PointRef, VM_ID } from '../format/point.ts'
import type { PointSummary } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { fileErrorCode, namesIn, readIfThere } from './files.ts'
import { BOOTED_FILE, CHECKED_FILE, indexFile, MANIFEST_FILE, type VaultLayout } from './layout.ts'
import { problemsOf, type VaultProblem } from './problems.ts'

const stat = promisify(fs.stat)

const READS_AT_ONCE = 8
const CHECKED = z.object({ at: z.number() })
const BOOTED = z.object({ at: z.number(), ok: z.boolean(), recoveryMs: z.number(), error: z.string() })
/** What can be said of a manifest whose version is too new. */
const LOOSE = z.object({
  vm: z.object({ name: z.string() }).optional().catch(undefined),
  blade: z.string().optional().catch(undefined),
  at: z.number().optional().catch(undefined),
})

/** Every restore point that is listed, by its folder alone. */
export function listRefs(layout: VaultLayout, vmId?: string): readonly PointRef[] {
  if (vmId !== undefined && !VM_ID.test(vmId)) return []
  const vms = vmId === undefined ? namesIn(layout.points).filter(name => VM_ID.test(name)) : [vmId]
  return vms.flatMap(id =>
    namesIn(layout.vm(id))
      .filter(name => POINT.test(name))
      .sort()
      .map(point => ({ vmId: id, point })),
  )
}

/** By the name of the VM, the newest of each first. */
export async function listPoints(
  layout: VaultLayout,
  problems: readonly VaultProblem[],
  vmId?: string,
): Promise<readonly PointSummary[]> {
  const found: PointSummary[] = []
  await eachBounded(listRefs(layout, vmId), READS_AT_ONCE, async ref => {
    const summary = await readPoint(layout, problems, ref)
    if (summary !== undefined) found.push(summary)
  })
  return named(found).sort(
    (a, b) => compare(a.vm, b.vm) || compare(a.vmId, b.vmId) || compare(b.point, a.point),
  )
}

/** What has no readable name of its own goes by that of its VM's other restore points. */
function named(points: readonly PointSummary[]): PointSummary[] {
  const names = new Map(points.flatMap(({ vmId, vm }) => (vm === vmId ? [] : [[vmId, vm] as const])))
  return points.map(point =>
    point.vm === point.vmId ? { ...point, vm: names.get(point.vmId) ?? point.vm } : point,
  )
}

/** One restore point; undefined when it is not listed. */
export async function readPoint(
  layout: VaultLayout,
  problems: readonly VaultProblem[],
  ref: PointRef,
): Promise<PointSummary | undefined> {
  if (!isPointRef(ref)) return undefined
  const folder = layout.point(ref)
  const text = await readManifestFile(folder)
  if (text === undefined && namesIn(folder).length === 0) return undefined
  const boot = BOOTED.safeParse(await readJson(join(folder, BOOTED_FILE)))
  const checked = CHECKED.safeParse(await readJson(join(folder, CHECKED_FILE)))
  const common = {
    ...ref,
    checkedAt: checked.success ? checked.data.at : 0,
    boot: boot.success ? boot.data : undefined,
  }
  const manifest = text instanceof LifeboatError ? text : read(text)
  if (manifest instanceof LifeboatError) {
    return { ...common, ...unreadable(ref, text instanceof LifeboatError ? undefined : text, manifest) }
  }
  const stateText = await damage(folder, manifest, problemsOf(problems, ref))
  return {
    ...common,
    vm: manifest.vm.name,
    blade: manifest.blade,
    at: manifest.at,
    manifest,
    state: stateText === '' ? 'whole' : 'damaged',
    stateText,
    // What was good once is not now.
    checkedAt: stateText === '' ? common.checkedAt : 0,
  }
}

/** The manifest as it lies there. `not-found`, `bad-input`, `version-mismatch`. */
export async function readManifest(layout: VaultLayout, ref: PointRef): Promise<Manifest> {
  const manifest = await readIfThere(join(layout.point(ref), MANIFEST_FILE))
  if (manifest === undefined) throw notListed(ref)
  return parseManifest(manifest.toString('utf8'))
}

export function notListed(ref: PointRef): LifeboatError {
  return new LifeboatError('not-found', `the vault has no restore point ${ref.point} of VM ${ref.vmId}`)
}

/** One bad sector shall not hide all other restore points. */
async function readManifestFile(folder: string): Promise<Buffer | LifeboatError | undefined> {
  try {
    return await readIfThere(join(folder, MANIFEST_FILE))
  } catch (error) {
    return asLifeboatError(error)
  }
}

function read(text: Buffer | undefined): Manifest | LifeboatError {
  if (text === undefined) return new LifeboatError('bad-input', 'it has no manifest')
  try {
    return parseManifest(text.toString('utf8'))
  } catch (error) {
    return asLifeboatError(error)
  }
}

function unreadable(ref: PointRef, text: Buffer | undefined, why: LifeboatError) {
  const loose = LOOSE.safeParse(parseLoosely(text)).data
  return {
    vm: loose?.vm?.name ?? ref.vmId,
    blade: loose?.blade ?? '',
    at: loose?.at ?? 0,
    manifest: undefined,
    state: 'unreadable',
    stateText: formatErrorChain(why),
  } as const
}

/** What a look at the folder tells: an index of the wrong length. What is in them is found by check and scrub. */
async function damage(
  folder: string,
  manifest: Manifest,
  problems: readonly VaultProblem[],
): Promise<string> {
  for (const disk of manifest.disks) {
    const wanted = indexBytes(disk.chunkBytes, disk.sizeBytes)
    const size = await sizeOf(join(folder, indexFile(disk.target)))
    if (size === undefined) return `the index of ${disk.target} is gone`
    if (size !== wanted) return `the index of ${disk.target} has ${size} bytes, ${wanted} are wanted`
  }
  const [first] = problems
  if (first === undefined) return ''
  return problems.length === 1 ? first.text : `${first.text} (and ${problems.length - 1} more)`
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return undefined
    return -1
  }
}

export function asLifeboatError(error: unknown): LifeboatError {
  return error instanceof LifeboatError ? error : new LifeboatError(errorCode(error), String(error))
}

/** Undefined for what cannot be read: it is found out again. */
async function readJson(path: string): Promise<unknown> {
  try {
    return parseLoosely(await readIfThere(path))
  } catch {
    return undefined
  }
}

function parseLoosely(text: Buffer | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text.toString('utf8'))
  } catch {
    return undefined
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
