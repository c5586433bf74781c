import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { idKey, idKeyOfText } from '../format/id-key.ts'
import type { PointRef } from '../format/point.ts'
import type { ChunkId } from '../vault.ts'
import { describeUnfit } from './check.ts'
import { createChunkLook } from './chunk-look.ts'
import type { StoreContext } from './context.ts'
import { fileExists, renameIfThere } from './files.ts'
import { listRefs, readPoint } from './listing.ts'
import { describeUnreadable, isUnreadable, readIndexes, type UnreadableIndex } from './marks.ts'
import { endProblems, raiseProblem, type VaultProblem } from './problems.ts'
import { forgetChecked } from './verdicts.ts'

/** So many restore points are named in words; all are in the list. */
const NAMED_POINTS = 3
/** Told of and taken out together: of a store that lost a folder, each by itself would write all problems anew. */
const TAKEN_AT_ONCE = 256

/**
 * Takes chunks that do not hold what their name says out of the store, into quarantine, and raises a problem for each
 * that names every restore point it touches. They are missing from now on, so the next backup brings them again. Waits
 * its turn: a point listed while this looks would be left out.
 */
export async function quarantine(context: StoreContext, bad: ReadonlySet<ChunkId>): Promise<void> {
  if (bad.size === 0) return
  await context.listing.run(async () => {
    const look = createChunkLook(context)
    const nameOf = createNames(context)
    const named = [...(await whoNames(context, bad))]
    for (let from = 0; from < named.length; from += TAKEN_AT_ONCE) {
      const batch = named.slice(from, from + TAKEN_AT_ONCE)
      await context.naming.run(() => takeOut(context, look, nameOf, batch))
    }
  })
}

/** The problems come first: a vault that dies between the two has told, and its next scrub takes the chunks out. */
async function takeOut(
  context: StoreContext,
  look: ReturnType<typeof createChunkLook>,
  nameOf: NameOf,
  batch: readonly (readonly [ChunkId, readonly PointRef[]])[],
): Promise<void> {
  const { layout, log } = context
  const problems: VaultProblem[] = []
  const taken: ChunkId[] = []
  const good: ChunkId[] = []
  for (const [id, refs] of batch) {
    // Found minutes ago, perhaps: another blade may have put a good one in the place since.
    const { verdict } = await look(id, 'sha256')
    if (verdict === 'good') {
      good.push(id)
      continue
    }
    const isMissing = verdict === 'gone' && !(await fileExists(join(layout.quarantine, id)))
    log.error(`a chunk of the vault is ${isMissing ? 'missing' : 'corrupt'}`, {
      chunk: id,
      points: refs.length,
    })
    taken.push(id)
    // Named by nobody, it is garbage and gone: no restore point lacks anything.
    if (refs.length === 0) continue
    problems.push(await corruptProblem(context, nameOf, id, refs, isMissing))
  }
  for (const ref of new Set(problems.flatMap(({ points }) => points))) forgetChecked(layout, ref)
  if (problems.length > 0) edit(context, known => problems.reduce(raiseProblem, known))
  healChunks(context, good)
  for (const id of taken) await renameIfThere(layout.chunk(id), join(layout.quarantine, id))
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
    context.log.info('a chunk that was corrupt or missing is good again', { chunk })
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
  // Most positions are of other chunks: a number tells that faster than their digits.
  const keys = new Set([...ids].map(idKeyOfText))
  for (const ref of listRefs(layout)) {
    for await (const item of readIndexes(layout, ref)) {
      if (isUnreadable(item)) continue
      const { index } = item
      for (let position = 0; position < index.count; position++) {
        if (!keys.has(idKey(index.rawIdAt(position)))) continue
        const refs = found.get(index.idAt(position))
        if (refs !== undefined && refs.at(-1) !== ref) refs.push(ref)
      }
    }
  }
  return found
}

type NameOf = (ref: PointRef) => Promise<string>

/** `web01@20261128T020512Z`; each manifest is read once. */
function createNames({ layout }: StoreContext): NameOf {
  const known = new Map<string, Promise<string>>()
  return ref => {
    const key = `${ref.vmId}/${ref.point}`
    const name =
      known.get(key) ?? readPoint(layout, [], ref).then(point => `${point?.vm ?? ref.vmId}@${ref.point}`)
    known.set(key, name)
    return name
  }
}

async function corruptProblem(
  context: StoreContext,
  nameOf: NameOf,
  id: ChunkId,
  refs: readonly PointRef[],
  isMissing: boolean,
): Promise<VaultProblem> {
  const names = await Promise.all(refs.slice(-NAMED_POINTS).map(nameOf))
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
