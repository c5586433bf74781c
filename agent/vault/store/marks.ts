import { hash } from 'node:crypto'
import { join } from 'node:path'
import { formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import { type ChunkIndex, parseIndex } from '../format/index.ts'
import type { PointRef } from '../format/point.ts'
import { fileExists, namesIn, readIfThere } from './files.ts'
import { indexFile, type VaultLayout } from './layout.ts'
import { asLifeboatError, readManifest } from './listing.ts'

/** One disk of a listed restore point. */
export interface ListedIndex {
  readonly ref: PointRef
  readonly target: string
  readonly index: ChunkIndex
  readonly bytes: Buffer
}

/** One that cannot be trusted to say which chunks are in use. */
export interface UnreadableIndex {
  readonly ref: PointRef
  readonly target: string
  readonly error: LifeboatError
}

const INDEX = /^([a-z0-9]+)\.caibx$/

/**
 * The indexes of one restore point as they lie there, one after the other (a large disk's takes megabytes). By the files,
 * not by the manifest, so that those of a newer Lifeboat count too; where the manifest can be read, each must be the one
 * it names: with a flipped byte an index is still one, of another chunk. Nothing for a point dropped meanwhile.
 */
export async function* readIndexes(
  layout: VaultLayout,
  ref: PointRef,
): AsyncGenerator<ListedIndex | UnreadableIndex> {
  const folder = layout.point(ref)
  const expected = await expectedIndexes(layout, ref)
  const present = namesIn(folder).flatMap(name => INDEX.exec(name)?.[1] ?? [])
  for (const target of new Set([...present, ...(expected?.keys() ?? [])])) {
    try {
      const bytes = await readIfThere(join(folder, indexFile(target)))
      if (bytes === undefined) {
        if (!(await fileExists(folder))) return
        throw new LifeboatError('not-found', 'it is gone')
      }
      const wanted = expected?.get(target)
      if (wanted !== undefined && hash('sha256', bytes, 'hex') !== wanted) {
        throw new LifeboatError('bad-input', 'it is not the index its manifest names')
      }
      yield { ref, target, index: parseIndex(bytes), bytes }
    } catch (error) {
      yield { ref, target, error: asLifeboatError(error) }
    }
  }
}

/** Target → SHA-256; undefined when the manifest cannot be read. */
async function expectedIndexes(
  layout: VaultLayout,
  ref: PointRef,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const { disks } = await readManifest(layout, ref)
    return new Map(disks.map(disk => [disk.target, disk.indexSha256]))
  } catch {
    return undefined
  }
}

export function isUnreadable(item: ListedIndex | UnreadableIndex): item is UnreadableIndex {
  return 'error' in item
}

/** `index of vda of 5d1f… 20261128T020512Z: not a chunk index: truncated`. */
export function describeUnreadable({ ref, target, error }: UnreadableIndex): string {
  return `the index of ${target} of VM ${ref.vmId}, ${ref.point}, cannot be used: ${formatErrorChain(error)}`
}
