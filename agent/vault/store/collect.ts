import fs, { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { StoreContext } from './context.ts'
import { raiseIndexProblem } from './damage.ts'
import { fileError, fileErrorCode } from './files.ts'
import { createIdFilter, type IdFilter } from './id-filter.ts'
import { CHUNK_FOLDER, chunkOfFile } from './layout.ts'
import { listRefs } from './listing.ts'
import { describeUnreadable, isUnreadable, readIndexes } from './marks.ts'

const readdir = promisify(fs.readdir)
const stat = promisify(fs.stat)

export interface CollectReport {
  /** Removed, or to be removed in a dry run. */
  readonly chunks: number
  readonly bytes: number
  readonly keptChunks: number
  /** Why nothing was collected; '' otherwise. */
  readonly refused: string
}

/**
 * Removes the chunks no listed restore point and no open session names. Mark and sweep:
 *
 * 1. From here on, claims outlive their sessions until the sweep ends (claims.ts).
 * 2. Mark what the listed indexes name. An index that cannot be read could name anything: nothing is collected then.
 * 3. Sweep, folder by folder. Whether a chunk is claimed is asked in the same breath as it is removed, and a session
 *    claims before it looks: so either the session finds it gone and sends it, or it stays.
 *
 * Backups go on meanwhile. Stopped by the signal it has removed only garbage.
 */
export async function collect(
  context: StoreContext,
  options: { readonly dryRun: boolean; readonly signal: AbortSignal },
): Promise<CollectReport> {
  const { claims, records, layout } = context
  const before = records.collect.value()
  claims.beginSweep()
  try {
    const filter = createIdFilter(before.runs)
    const refused = await mark(context, filter)
    if (refused !== '') return { chunks: 0, bytes: 0, keptChunks: 0, refused }
    const tally = { chunks: 0, bytes: 0, keptChunks: 0, keptBytes: 0 }
    for (const prefix of (await readdir(layout.store)).filter(name => CHUNK_FOLDER.test(name))) {
      if (options.signal.aborted) return { ...tally, refused: '' }
      await sweepFolder(context, filter, prefix, options.dryRun, tally)
    }
    const { chunks, bytes, keptChunks, keptBytes } = tally
    if (!options.dryRun) {
      records.collect.set({
        collectedAt: context.clock.now(),
        runs: before.runs + 1,
        chunks: keptChunks,
        bytes: keptBytes,
      })
      context.log.info('unused chunks are collected', { chunks, bytes, keptChunks })
    }
    return { chunks, bytes, keptChunks, refused: '' }
  } finally {
    claims.endSweep()
  }
}

/** '' when every index could be read. */
async function mark(context: StoreContext, filter: IdFilter): Promise<string> {
  for (const ref of listRefs(context.layout)) {
    for await (const item of readIndexes(context.layout, ref)) {
      if (isUnreadable(item)) {
        raiseIndexProblem(context, item)
        return describeUnreadable(item)
      }
      for (let position = 0; position < item.index.count; position++) {
        filter.add(item.index.rawIdAt(position))
      }
    }
  }
  return ''
}

async function sweepFolder(
  { layout, claims }: StoreContext,
  filter: IdFilter,
  prefix: string,
  dryRun: boolean,
  tally: { chunks: number; bytes: number; keptChunks: number; keptBytes: number },
): Promise<void> {
  const folder = join(layout.store, prefix)
  for (const name of await readdir(folder)) {
    const id = chunkOfFile(name)
    if (id === undefined) continue
    const size = await sizeOf(join(folder, name))
    // No await between the question and the removal: see above.
    if (filter.has(Buffer.from(id, 'hex')) || claims.isClaimed(id)) {
      tally.keptChunks++
      tally.keptBytes += size
      continue
    }
    if (!dryRun) remove(join(folder, name))
    tally.chunks++
    tally.bytes += size
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (fileErrorCode(error) !== 'ENOENT') throw fileError(`cannot remove ${path}`, error)
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    // Quarantined meanwhile.
    if (fileErrorCode(error) === 'ENOENT') return 0
    throw fileError(`cannot look at ${path}`, error)
  }
}
