import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { PointRef } from '../format/point.ts'
import type { ChunkId } from '../vault.ts'
import { describeUnfit } from './check.ts'
import { createChunkLook } from './chunk-look.ts'
import type { StoreContext } from './context.ts'
import { fileExists, renameIfThere } from './files.ts'
import { listRefs, readPoint } from './listing.ts'
import { describeUnreadable, isUnreadable, readIndexes, type UnreadableIndex } from './marks.ts'
import { endProblems, raiseProblem, type VaultProblem } from './problems.ts'

/** So many restore points are named in words; all are in the list. */
const NAMED_POINTS = 3

/**
 * Takes chunks that do not hold what their name says out of the store, into quarantine, and raises a problem for each
 * that names every restore point it touches. They are missing from now on, so the next backup brings them again. Waits
 * its turn: a point listed while this looks would be left out.
 */
export async function quarantine(context: StoreContext, bad: ReadonlySet<ChunkId>): Promise<void> {
  if (bad.size === 0) return
  await context.listing.run(async () => {
    const look = createChunkLook(context)
    for (const [id, refs] of await whoNames(context, bad)) {
      await context.naming.run(() => takeOut(context, look, id, refs))
    }
  })
}

/** The problem comes first: a vault that dies between the two has told, and its next scrub takes the chunk out. */
async function takeOut(
  context: StoreContext,
  look: ReturnType<typeof createChunkLook>,
  id: ChunkId,
  refs: readonly PointRef[],
): Promise<void> {
  const { layout } = context
  // Found minutes ago, perhaps: another blade may have put a good one in the place since.
  const { verdict } = await look(id, 'sha256')
  if (verdict === 'good') return
  const kept = join(layout.quarantine, id)
  const isMissing = verdict === 'gone' && !(await fileExists(kept))
  const problem = await corruptProblem(context, id, refs, isMissing)
  const state = isMissing ? 'missing' : 'corrupt'
  context.log.error(`a chunk of the vault is ${state}`, { chunk: id, points: refs.length })
  // Named by nobody, it is garbage and gone: no restore point lacks anything.
  if (refs.length > 0) edit(context, problems => raiseProblem(problems, problem))
  await renameIfThere(layout.chunk(id), kept)
}

/** These chunks are known to be good: the problems about them end. */
export function healChunks(context: StoreContext, ids: readonly ChunkId[]): void {
  const wanted = new Set(ids)
  const healed = context.records.problems
    .value()
    .filter(problem => problem.code === 'chunk-corrupt' && wanted.has(problem.chunk))
  if (healed.length === 0) return
  edit(context, problems => endProblems(problems, 'chunk-corrupt', wanted))
  for (const { chunk } of healed) {
    rmSync(join(context.layout.quarantine, chunk), { force: true })
    context.log.info('a corrupt chunk is healed: a backup brought it again', { chunk })
  }
}

export function raiseIndexProblem(context: StoreContext, bad: UnreadableIndex): void {
  const { ref, target } = bad
  context.log.error('an index of the vault is damaged', { vm: ref.vmId, point: ref.point, disk: target })
  edit(context, problems =>
    raiseProblem(problems, {
      code: 'index-damaged',
      about: `${ref.vmId}/${ref.point}/${target}`,
      text: `${describeUnreadable(bad)}; nothing is collected until that restore point is dropped or its index brought back`,
      chunk: '',
      points: [ref],
      since: context.clock.now(),
    }),
  )
}

/** It stays with the restore point: what an index says, and how long a chunk is, do not change. */
export function raiseUnfitProblem(context: StoreContext, ref: PointRef, target: string): void {
  context.log.error('an index of the vault does not fit its chunks', { ...ref, disk: target })
  edit(context, problems =>
    raiseProblem(problems, {
      code: 'index-unfit',
      about: `${ref.vmId}/${ref.point}/${target}`,
      text: `${describeUnfit(target)}: ${ref.vmId}@${ref.point} cannot be restored, whoever wrote it was wrong; no other restore point is touched`,
      chunk: '',
      points: [ref],
      since: context.clock.now(),
    }),
  )
}

/** The indexes of a restore point are as they must be. */
export function endIndexProblems(context: StoreContext, ref: PointRef): void {
  const about = context.records.problems
    .value()
    .filter(({ about }) => about.startsWith(`${ref.vmId}/${ref.point}/`))
    .map(problem => problem.about)
  if (about.length > 0) edit(context, problems => endProblems(problems, 'index-damaged', new Set(about)))
}

export function edit(
  context: StoreContext,
  change: (problems: readonly VaultProblem[]) => readonly VaultProblem[],
): void {
  context.records.problems.set(change(context.records.problems.value()))
}

/** Every restore point whose indexes name any of the chunks; one pass over all indexes. */
async function whoNames(
  { layout }: StoreContext,
  ids: ReadonlySet<ChunkId>,
): Promise<ReadonlyMap<ChunkId, readonly PointRef[]>> {
  const found = new Map<ChunkId, PointRef[]>([...ids].map(id => [id, []]))
  for (const ref of listRefs(layout)) {
    for await (const item of readIndexes(layout, ref)) {
      if (isUnreadable(item)) continue
      for (const [id, refs] of found) {
        // 32 bytes that are a hash do not occur by chance.
        if (refs.at(-1) !== ref && item.bytes.includes(Buffer.from(id, 'hex'))) refs.push(ref)
      }
    }
  }
  return found
}

async function corruptProblem(
  context: StoreContext,
  id: ChunkId,
  refs: readonly PointRef[],
  isMissing: boolean,
): Promise<VaultProblem> {
  const names: string[] = []
  for (const ref of refs.slice(-NAMED_POINTS)) {
    const point = await readPoint(context.layout, [], ref)
    names.push(`${point?.vm ?? ref.vmId}@${ref.point}`)
  }
  const more = refs.length > names.length ? ` and ${refs.length - names.length} more` : ''
  return {
    code: 'chunk-corrupt',
    about: id,
    text: `chunk ${id.slice(0, 12)}… ${isMissing ? 'is missing' : 'does not hold what its name says'}: ${names.join(', ')}${more} cannot be restored until a backup brings it again; check the disk of the vault, or the memory of the blade that sent it`,
    chunk: id,
    points: refs,
    since: context.clock.now(),
  }
}
