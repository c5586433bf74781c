import { join } from 'node:path'
import { LifeboatError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import { wholeFrameBytes } from '../format/chunk.ts'
import { MAX_CHUNK_BYTES, parseChunkId, parseIndex } from '../format/index.ts'
import { formatManifest, type Manifest, parseManifest, TARGET } from '../format/manifest.ts'
import { momentOfPoint } from '../format/point.ts'
import type { BackupSession, BeginBackup, Chunk, ChunkId } from '../vault.ts'
import { eachBounded, type Queue } from './bounded.ts'
import type { Claims } from './claims.ts'
import { fileExists, readIfThere, writeWhole } from './files.ts'
import { indexFile, type VaultLayout } from './layout.ts'
import { eachAbsent } from './presence.ts'
import { alreadyListed, checkIndex, listPoint } from './publish.ts'
import { createStaging, type StagingDeps } from './staging.ts'
import { createSessionSums } from './sums.ts'

const PUTS_AT_ONCE = 4

export interface SessionDeps extends StagingDeps {
  readonly layout: VaultLayout
  readonly claims: Claims
  /** Whoever lists, drops or takes chunks away waits for the others. */
  readonly listing: Queue
  readonly log: Logger
  /** The writer is this process: its frames are what they say. */
  readonly trusted: boolean
  /** A problem is about it: it ends only with a chunk that is known to be good. */
  readonly isWantedBack: (id: ChunkId) => boolean
  readonly onEnd: (manifest: Manifest | undefined) => void
}

/** One backup coming in; see BackupSession for what it promises. `blade`: whose certificate writes it, '' without one. */
export function createSession(
  deps: SessionDeps,
  request: BeginBackup,
  blade: string,
  name: string,
): BackupSession {
  const staging = createStaging(deps, name, blade)
  const isDoubted = (id: ChunkId): boolean => deps.unproven.isDoubted(id, blade)
  const folder = staging.folder
  const sums = createSessionSums()
  const indexes = new Set<string>()
  let ended = false
  let published: Promise<Manifest> | undefined
  let aborting: Promise<void> | undefined
  deps.claims.open(name)

  const checkOpen = (): void => {
    if (ended || aborting !== undefined)
      throw new LifeboatError('aborted', `the backup of ${request.vm.name} has ended`)
  }
  /** What came while it is published would be neither in it nor kept. */
  const checkTakes = (): void => {
    checkOpen()
    if (published !== undefined)
      throw new LifeboatError('aborted', `the backup of ${request.vm.name} is being published`)
  }
  const end = (manifest: Manifest | undefined): void => {
    if (ended) return
    ended = true
    deps.claims.close(name)
    deps.onEnd(manifest)
    try {
      staging.remove()
    } catch (error) {
      // A write that was under way put its file there again; the next start of the vault clears it.
      deps.log.warn('the folder of an ended backup stays', { folder, error })
    }
  }

  /**
   * Whether the proof may look at it later: it comes of a blade, few enough wait, no problem is about it, it is one whole
   * frame, and the store has no file of that name.
   */
  const mayWait = async ({ id, frame }: Chunk): Promise<boolean> => {
    if (blade === '' || !deps.unproven.takesMore || deps.isWantedBack(id)) return false
    const isWhole = wholeFrameBytes(frame, MAX_CHUNK_BYTES) !== undefined
    return isWhole && !(await fileExists(deps.layout.chunk(id)))
  }

  /** Looks at it now unless it may wait. Whether it is known to hold what its name says. */
  const prove = async (chunk: Chunk): Promise<boolean> => {
    if (deps.trusted) return true
    if (await mayWait(chunk)) return false
    await deps.frames.check(chunk.id, chunk.frame, 'sha256', MAX_CHUNK_BYTES)
    return true
  }

  const publish = async (draft: Omit<Manifest, 'format' | 'version' | 'blade'>): Promise<Manifest> => {
    const { id, name } = request.vm
    if (draft.vm.id !== id || draft.vm.name !== name || draft.point !== request.point) {
      throw new LifeboatError('bad-input', 'the manifest is not of the backup that was begun')
    }
    // What sorts by the one must not be led astray by the other.
    if (Math.floor(draft.at / 1000) * 1000 !== momentOfPoint(draft.point)) {
      throw new LifeboatError('bad-input', `the manifest of ${draft.point} says another moment than its name`)
    }
    await staging.settle()
    const figures = { ...draft.figures, storedBytes: staging.putBytes }
    // Also checks what a stranger sent.
    const manifest = parseManifest(formatManifest({ ...draft, blade, figures }))
    return await deps.listing.run(async () => {
      checkOpen()
      const same = await alreadyListed(deps.layout, manifest)
      if (same !== undefined) return same
      const stray = [...indexes].find(target => manifest.disks.every(disk => disk.target !== target))
      if (stray !== undefined) throw new LifeboatError('bad-input', `the manifest names no disk ${stray}`)
      for (const disk of manifest.disks) {
        checkIndex(disk, await readIfThere(join(folder, 'point', indexFile(disk.target))))
      }
      return await listPoint({ ...deps, isDoubted, sums }, join(folder, 'point'), manifest)
    })
  }

  /** What came whole is kept for the next attempt, until collection finds that nobody names it. */
  const abort = async (): Promise<void> => {
    try {
      await staging.settle()
    } catch (error) {
      deps.log.warn('chunks of an ended backup were not kept', { vm: request.vm.name, error })
    }
    end(undefined)
  }

  return {
    missing: async ids => {
      checkOpen()
      for (const id of ids) parseChunkId(id)
      deps.claims.claim(name, ids)
      const others = ids.filter(id => !staging.has(id))
      const absent = new Set<ChunkId>()
      await eachAbsent(others, deps.layout.chunk, id => absent.add(id))
      // In this order: who sent a chunk is known before it has its name.
      for (const id of others) if (isDoubted(id)) absent.add(id)
      return ids.filter(id => absent.has(id))
    },
    put: async chunks => {
      checkTakes()
      for (const { id } of chunks) parseChunkId(id)
      deps.claims.claim(name, toIds(chunks))
      await eachBounded(chunks, PUTS_AT_ONCE, async chunk => {
        const isProven = await prove(chunk)
        checkTakes()
        await staging.put(chunk, isProven)
        sums.note(chunk)
      })
    },
    putIndex: async (target, bytes) => {
      checkTakes()
      if (!TARGET.test(target)) throw new LifeboatError('bad-input', `'${target}' is no name of a disk`)
      parseIndex(bytes)
      if (indexes.size === 0) staging.makeFolder('point')
      indexes.add(target)
      await writeWhole(join(folder, 'point', indexFile(target)), bytes, 0o644)
    },
    publish: async draft => {
      if (published === undefined) {
        checkOpen()
        published = publish(draft)
      }
      try {
        const manifest = await published
        end(manifest)
        return manifest
      } catch (error) {
        published = undefined
        throw error
      }
    },
    abort: async () => {
      // A listing that runs is not torn apart; whether it came through is told to whoever asks for it again.
      await published?.catch(() => {})
      if (ended) return
      aborting ??= abort()
      await aborting
    },
  }
}

function toIds(chunks: readonly { readonly id: ChunkId }[]): ChunkId[] {
  return chunks.map(({ id }) => id)
}
