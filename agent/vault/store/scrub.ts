import fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SECOND_MS } from '../../../shared/domain/units.ts'
import { createRate } from '../../rate.ts'
import type { PointRef } from '../format/point.ts'
import type { ChunkId } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { createChunkLook } from './chunk-look.ts'
import { claimKey } from './claims.ts'
import type { StoreContext } from './context.ts'
import { edit, endIndexProblems, healChunks, quarantine, raiseIndexProblem } from './damage.ts'
import { fileExists } from './files.ts'
import { CHUNK_FOLDER, chunkOfFile } from './layout.ts'
import { listRefs, readPoint } from './listing.ts'
import { isUnreadable, readIndexes } from './marks.ts'
import { dropPoint, endProblems, raiseProblem } from './problems.ts'
import type { ScrubState } from './records.ts'
import type { UnprovenEntry } from './unproven.ts'
import { recordChecked } from './verdicts.ts'

const readdir = promisify(fs.readdir)

const CHUNKS_AT_ONCE = 2
/** How often its place is written down: what is read again after a crash. */
const NOTE_EVERY_MS = 30 * SECOND_MS
const FOLDERS = 0x10000

export interface ScrubReport {
  /** False: stopped by the signal; the next call goes on where it was. */
  readonly finished: boolean
  /** Of the whole round. */
  readonly chunks: number
  readonly bad: readonly ChunkId[]
}

export interface ScrubOptions {
  readonly signal: AbortSignal
  /** Compressed bytes per second; 0: no limit. */
  readonly rateBytes: number
  readonly onProgress?: (doneFolders: number, folders: number) => void
}

/**
 * Reads and hashes every chunk of the store, then every index and manifest, and whether each chunk they name is there.
 * What it finds becomes a problem at once. A round that ends notes for each restore point that was listed when it began,
 * and is whole, that all its chunks were good then. Goes on where it was stopped.
 */
export async function scrub(context: StoreContext, options: ScrubOptions): Promise<ScrubReport> {
  const { records, clock } = context
  const last = records.scrub.value()
  const goesOn = last.startedAt > 0 && last.endedAt === 0
  const begun = {
    startedAt: clock.now(),
    endedAt: 0,
    next: '0000',
    doneChunks: 0,
    points: listRefs(context.layout).map(nameOf),
  }
  let state = goesOn ? last : begun
  records.scrub.set(state)
  const look = createChunkLook(context)
  const pace = createPace(context, options)
  const bad = new Set<ChunkId>()
  let notedAt = clock.now()
  for (const folder of await foldersFrom(context, state.next)) {
    state = { ...state, next: folder }
    if (options.signal.aborted) {
      records.scrub.set(state)
      return { finished: false, chunks: state.doneChunks, bad: [...bad] }
    }
    if (clock.now() - notedAt >= NOTE_EVERY_MS) {
      records.scrub.set(state)
      notedAt = clock.now()
    }
    const found = await scrubFolder(context, folder, look, pace)
    for (const id of found.bad) bad.add(id)
    state = { ...state, doneChunks: state.doneChunks + found.chunks }
    options.onProgress?.(Number.parseInt(folder, 16) + 1, FOLDERS)
  }
  // What was put into quarantine is missing now.
  for (const id of await scrubPoints(context, state)) bad.add(id)
  context.unproven.forgetUnread(state.startedAt)
  records.scrub.set({ ...state, next: '0000', points: [], endedAt: Math.max(clock.now(), state.startedAt) })
  context.log.info('the whole vault was read and hashed', { chunks: state.doneChunks, bad: bad.size })
  return { finished: true, chunks: state.doneChunks, bad: [...bad] }
}

/** What lies in a folder made since came after the round began: no restore point that was listed then needs it. */
async function foldersFrom({ layout }: StoreContext, next: string): Promise<readonly string[]> {
  const names = await readdir(layout.store)
  return names.filter(name => CHUNK_FOLDER.test(name) && name >= next).sort()
}

async function scrubFolder(
  context: StoreContext,
  prefix: string,
  look: ReturnType<typeof createChunkLook>,
  pace: (bytes: number) => Promise<void>,
): Promise<{ chunks: number; bad: readonly ChunkId[] }> {
  const names = await readdir(join(context.layout.store, prefix))
  const bad = new Set<ChunkId>()
  const proven = new Map<ChunkId, UnprovenEntry>()
  const good: ChunkId[] = []
  let chunks = 0
  await eachBounded(names, CHUNKS_AT_ONCE, async name => {
    const id = chunkOfFile(name)
    if (id === undefined) return
    const entry = context.unproven.entryOf(id)
    const { verdict, bytes } = await look(id, 'sha256')
    // Collected meanwhile.
    if (verdict === 'gone') return
    chunks++
    if (verdict === 'corrupt') bad.add(id)
    else {
      good.push(id)
      if (entry !== undefined) proven.set(id, entry)
    }
    await pace(bytes)
  })
  for (const [id, entry] of proven) context.unproven.markProven(id, entry)
  // Brought again by a person, perhaps: a backup would not send what is there.
  healChunks(context, good)
  await quarantine(context, bad)
  return { chunks, bad: [...bad] }
}

/** Sleeps as long as the bytes read so far are ahead of the rate; a stop ends the sleep, and is seen at the next folder. */
function createPace(
  { clock }: StoreContext,
  { rateBytes, signal }: ScrubOptions,
): (bytes: number) => Promise<void> {
  const spend = createRate(rateBytes, clock, signal)
  return bytes =>
    spend(bytes).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
}

/** Indexes, manifests, and that what they name is there. The ids of chunks that are not. */
async function scrubPoints(context: StoreContext, round: ScrubState): Promise<readonly ChunkId[]> {
  const missing = new Set<ChunkId>()
  const listedBefore = new Set(round.points)
  const good: PointRef[] = []
  // The nights of one VM name mostly the same chunks: each is looked for once.
  let looked = { vmId: '', keys: new Set<number>() }
  for (const ref of listRefs(context.layout)) {
    if (looked.vmId !== ref.vmId) looked = { vmId: ref.vmId, keys: new Set() }
    let isGood = await noteManifest(context, ref)
    let isHashed = true
    for await (const item of readIndexes(context.layout, ref)) {
      if (isUnreadable(item)) {
        raiseIndexProblem(context, item)
        isGood = false
        continue
      }
      const { index } = item
      for (let position = 0; position < index.count; position++) {
        const id = index.idAt(position)
        // Brought again after its folder was done, perhaps.
        if (context.unproven.has(id)) isHashed = false
        if (looked.keys.has(claimKey(id))) continue
        looked.keys.add(claimKey(id))
        if (!(await fileExists(context.layout.chunk(id)))) missing.add(id)
      }
    }
    if (!isGood) continue
    endIndexProblems(context, ref)
    if (isHashed) good.push(ref)
  }
  await quarantine(context, missing)
  forgetRemoved(context)
  for (const ref of good) {
    const point = await readPoint(context.layout, context.records.problems.value(), ref)
    // The chunks of those listed since may lie in folders that were done before.
    if (point?.state === 'whole' && listedBefore.has(nameOf(ref))) {
      recordChecked(context.layout, ref, Math.max(point.checkedAt, round.startedAt))
    }
  }
  return [...missing]
}

/** A person may remove the folder of a restore point; what was wrong with it is over then. */
function forgetRemoved(context: StoreContext): void {
  const listed = new Set(listRefs(context.layout).map(nameOf))
  const touched = context.records.problems.value().flatMap(problem => problem.points)
  const gone = touched.filter(ref => !listed.has(nameOf(ref)))
  if (gone.length > 0) edit(context, problems => gone.reduce(dropPoint, problems))
}

/** False when it cannot be read; the problem is raised or ended. */
async function noteManifest(context: StoreContext, ref: PointRef): Promise<boolean> {
  const about = nameOf(ref)
  const point = await readPoint(context.layout, [], ref)
  if (point === undefined || point.state !== 'unreadable') {
    const isKnown = context.records.problems.value().some(problem => problem.about === about)
    if (isKnown) edit(context, problems => endProblems(problems, 'manifest-unreadable', new Set([about])))
    return point !== undefined
  }
  edit(context, problems =>
    raiseProblem(problems, {
      code: 'manifest-unreadable',
      about,
      text: `the manifest of ${point.vm}@${ref.point} cannot be read: ${point.stateText}`,
      chunk: '',
      points: [ref],
      since: context.clock.now(),
    }),
  )
  return false
}

function nameOf({ vmId, point }: PointRef): string {
  return `${vmId}/${point}`
}
