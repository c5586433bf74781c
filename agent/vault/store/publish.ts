import { hash } from 'node:crypto'
import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LifeboatError } from '../../../shared/errors.ts'
import { distinctPositions } from '../format/distinct.ts'
import { parseIndex } from '../format/index.ts'
import { formatManifest, type Manifest, type ManifestDisk, parseManifest } from '../format/manifest.ts'
import type { PointRef } from '../format/point.ts'
import type { ChunkId } from '../vault.ts'
import { fileError, fileExists, readIfThere, syncDirectory, writeWhole } from './files.ts'
import { DEFINITION_FILE, indexFile, MANIFEST_FILE, type VaultLayout } from './layout.ts'
import { readManifest } from './listing.ts'
import { eachAbsent } from './presence.ts'
import { type SessionSums, writeSums } from './sums.ts'

/** Refuses (`bad-input`) an index that is not the one its manifest names: it would be written over a disk one day. */
export function checkIndex(disk: ManifestDisk, bytes: Buffer | undefined): void {
  if (bytes === undefined) throw new LifeboatError('bad-input', `the index of ${disk.target} was not sent`)
  if (hash('sha256', bytes, 'hex') !== disk.indexSha256) {
    throw new LifeboatError('bad-input', `the index of ${disk.target} is not the one its manifest names`)
  }
  const index = parseIndex(bytes)
  const isRight =
    index.digest === 'sha256' &&
    index.sizeBytes === disk.sizeBytes &&
    index.count === Math.ceil(disk.sizeBytes / disk.chunkBytes) &&
    index.maxChunkBytes === disk.chunkBytes
  if (isRight) return
  throw new LifeboatError(
    'bad-input',
    `the index of ${disk.target} does not fit what its manifest says of the disk`,
  )
}

export interface ListingDeps {
  readonly layout: VaultLayout
  readonly sync: () => Promise<void>
  /** What another blade sent and nobody has looked at yet is as good as missing. */
  readonly isDoubted: (id: ChunkId) => boolean
  /** Of the frames that were put for it. */
  readonly sums: SessionSums
}

/**
 * Writes a restore point below `folder`, finds every chunk it names, makes all of it durable, reads it back, and only
 * then lists it by a rename (rule 4). The chunks must be settled. `refused` names what is missing.
 */
export async function listPoint(deps: ListingDeps, folder: string, manifest: Manifest): Promise<Manifest> {
  const { layout } = deps
  const ref = { vmId: manifest.vm.id, point: manifest.point }
  const text = formatManifest(manifest)
  await writeWhole(join(folder, MANIFEST_FILE), text, 0o644)
  await writeWhole(join(folder, DEFINITION_FILE), manifest.definition, 0o644)
  await writeSums(layout, folder, manifest, deps.sums)
  // One call for the indexes, the manifest and the names the chunks were given: cheaper than an fsync of each.
  await deps.sync()
  const written = await readBack(folder, text)
  await findChunks(deps, folder, written)
  try {
    mkdirSync(dirname(layout.point(ref)), { recursive: true })
    syncDirectory(layout.points)
    renameSync(folder, layout.point(ref))
    syncDirectory(layout.vm(ref.vmId))
  } catch (error) {
    throw fileError(`cannot list restore point ${ref.point}`, error)
  }
  return written
}

/** The listed manifest when it is the same backup, undefined when none is listed; `already-exists` for another one. */
export async function alreadyListed(layout: VaultLayout, manifest: Manifest): Promise<Manifest | undefined> {
  const ref: PointRef = { vmId: manifest.vm.id, point: manifest.point }
  if (!(await fileExists(layout.point(ref)))) return undefined
  const listed = await readManifest(layout, ref)
  const content = (of: Manifest) =>
    JSON.stringify([of.at, of.blade, of.disks.map(disk => [disk.target, disk.indexSha256])])
  if (content(listed) === content(manifest)) {
    // The first attempt may have failed at just this.
    syncDirectory(layout.vm(ref.vmId))
    return listed
  }
  throw new LifeboatError(
    'already-exists',
    `restore point ${ref.point} of VM ${ref.vmId} is there, with other content`,
  )
}

async function readBack(folder: string, text: string): Promise<Manifest> {
  const found = await readIfThere(join(folder, MANIFEST_FILE))
  if (found?.toString('utf8') !== text)
    throw new LifeboatError('unavailable', 'the manifest does not read back')
  return parseManifest(text)
}

/**
 * Each distinct one of all disks, looked for by its name; one that is doubted counts as missing. What has a name in the
 * store is durable.
 */
async function findChunks(
  { layout, isDoubted }: ListingDeps,
  folder: string,
  manifest: Manifest,
): Promise<void> {
  const missing = new Set<ChunkId>()
  for (const disk of manifest.disks) {
    const bytes = await readIfThere(join(folder, indexFile(disk.target)))
    checkIndex(disk, bytes)
    const index = parseIndex(bytes ?? Buffer.alloc(0))
    const pathAt = (position: number): string => layout.chunk(index.idAt(position))
    await eachAbsent(distinctPositions(index), pathAt, position => missing.add(index.idAt(position)))
    // After the look for the names: who sent a chunk is known before it has its name.
    for (const position of distinctPositions(index)) {
      if (isDoubted(index.idAt(position))) missing.add(index.idAt(position))
    }
  }
  if (missing.size === 0) return
  throw new LifeboatError(
    'refused',
    `the vault lacks ${missing.size} chunks of restore point ${manifest.point}: ${[...missing][0]}…`,
  )
}
