import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MIB } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { FrameChecker } from '../format/frame-checker.ts'
import { MAX_CHUNK_BYTES } from '../format/index.ts'
import type { Chunk, ChunkId } from '../vault.ts'
import { eachBounded, type Queue } from './bounded.ts'
import { fileError, fileExists, namesIn, readIfThere, renameIfThere, writeWhole } from './files.ts'
import { CHUNK_FOLDER, type VaultLayout } from './layout.ts'
import type { Unproven } from './unproven.ts'

/**
 * Chunks wait in the session's own folder until the file system was made durable as a whole, and only then get their
 * name in the store. So what has a name there is whole even after a power cut, and "the vault has it" needs no more than
 * a look for the name. An fsync for each chunk would do the same for 11 to 14 % more time; chunks renamed into the store
 * first, and synced at the end, would leave empty files of good names behind a power cut, found by the next backup.
 * As little as this at once, so that a night that adds little leaves little to be waited for at its end.
 */
const SETTLE_BYTES = 64 * MIB
/** Of tiny frames that would be millions, and all are kept in memory and in one list. */
const SETTLE_CHUNKS = 4096
const RENAMES_AT_ONCE = 16
/** As casync leaves them: nothing may write to a chunk. */
const CHUNK_MODE = 0o444

/** The chunks of one session on their way into the store. */
export interface Staging {
  /** The session's folder, on the file system of the store. */
  readonly folder: string
  /** Compressed bytes put so far. */
  readonly putBytes: number
  has(id: ChunkId): boolean
  /**
   * Writes a chunk; waits only when more than twice the settling amount lies unsettled. `isProven`: it was found to hold
   * what its name says.
   */
  put(chunk: Chunk, isProven: boolean): Promise<void>
  /** All chunks put so far are durable in the store when it resolves. */
  settle(): Promise<void>
  /** A folder inside of its own. */
  makeFolder(name: string): void
  /** Drops what was not settled. Idempotent. */
  remove(): void
}

/** Prefix folders of the store that exist, shared by all sessions of a vault. */
export function createPrefixes(layout: VaultLayout): { ensure(prefix: string): void } {
  const made = new Uint8Array(0x10000)
  let isRead = false
  return {
    ensure: prefix => {
      if (!isRead) {
        for (const name of namesIn(layout.store)) {
          if (CHUNK_FOLDER.test(name)) made[Number.parseInt(name, 16)] = 1
        }
        isRead = true
      }
      const number = Number.parseInt(prefix, 16)
      if (made[number] === 1) return
      mkdirSync(join(layout.store, prefix), { recursive: true })
      made[number] = 1
    },
  }
}

export interface StagingDeps {
  readonly layout: VaultLayout
  readonly prefixes: { ensure(prefix: string): void }
  /** Makes the file system durable. */
  readonly sync: () => Promise<void>
  /** Called before each settling; rejects when the vault has no room for more. */
  readonly checkRoom: () => Promise<void>
  readonly onSettled: (ids: readonly ChunkId[], bytes: number) => void
  readonly frames: FrameChecker
  readonly unproven: Unproven
  /** Sessions give their chunks names one after the other, so that nobody takes a place between the look at it and the rename. */
  readonly naming: Queue
}

/** `writer`: the blade whose unproven chunks they are. */
export function createStaging(deps: StagingDeps, name: string, writer: string): Staging {
  const folder = join(deps.layout.tmp, name)
  makeFolder(folder)
  /** Put and not yet in the store, with the writing of each. */
  const pending = new Map<ChunkId, Promise<void>>()
  const proven = new Set<ChunkId>()
  let waiting: ChunkId[] = []
  let waitingBytes = 0
  let putBytes = 0
  let settling: Promise<void> = Promise.resolve()
  let failure: LifeboatError | undefined

  const settleThese = async (ids: readonly ChunkId[], bytes: number): Promise<void> => {
    await Promise.all(ids.map(id => pending.get(id)))
    await deps.checkRoom()
    const unproven = ids.filter(id => !proven.has(id))
    if (unproven.length > 0) await deps.unproven.add(name, writer, unproven)
    await deps.sync()
    await deps.naming.run(() =>
      eachBounded(ids, RENAMES_AT_ONCE, async id => {
        await (proven.has(id) ? moveIn(deps, folder, id) : moveInOrCheck(deps, folder, id, writer))
      }),
    )
    for (const id of ids) {
      pending.delete(id)
      proven.delete(id)
    }
    deps.onSettled(ids, bytes)
  }

  const settle = (): Promise<void> => {
    if (waiting.length === 0) return settling
    const [ids, bytes] = [waiting, waitingBytes]
    waiting = []
    waitingBytes = 0
    settling = settling.then(() => settleThese(ids, bytes))
    // Told to whoever puts or settles next; a rejection nobody awaits would end the process.
    settling.catch(error => {
      failure ??= error
    })
    return settling
  }

  return {
    folder,
    get putBytes() {
      return putBytes
    },
    has: id => pending.has(id),
    put: async ({ id, frame }, isProven) => {
      if (failure !== undefined) throw failure
      const same = pending.get(id)
      if (same !== undefined) return await same
      if (isProven) proven.add(id)
      const written = writeWhole(join(folder, id), frame, CHUNK_MODE)
      pending.set(id, written)
      waiting.push(id)
      waitingBytes += frame.length
      putBytes += frame.length
      await written
      if (waitingBytes < SETTLE_BYTES && waiting.length < SETTLE_CHUNKS) return
      const before = settling
      void settle()
      await before
    },
    settle,
    makeFolder: name => makeFolder(join(folder, name)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    throw fileError(`cannot make ${path}`, error)
  }
}

async function moveIn(deps: StagingDeps, folder: string, id: ChunkId): Promise<void> {
  await nameChunk(deps, folder, id)
  deps.unproven.markProven(id)
}

async function nameChunk(deps: StagingDeps, folder: string, id: ChunkId): Promise<void> {
  try {
    deps.prefixes.ensure(id.slice(0, 4))
  } catch (error) {
    throw fileError(`cannot make a folder of the store`, error)
  }
  if (await renameIfThere(join(folder, id), deps.layout.chunk(id))) return
  // Whatever lies under that name in the store is another's.
  throw new LifeboatError('aborted', `the backup ended before chunk ${id} got its name`)
}

/** INVARIANT: an unproven chunk never replaces a file. Where one lies, this one is hashed first; `bad-input` when it is not its id. */
async function moveInOrCheck(deps: StagingDeps, folder: string, id: ChunkId, writer: string): Promise<void> {
  if (!(await fileExists(deps.layout.chunk(id)))) {
    deps.unproven.setSender(id, writer)
    await nameChunk(deps, folder, id)
    return
  }
  const frame = await readIfThere(join(folder, id))
  if (frame === undefined) return
  await deps.frames.check(id, frame, 'sha256', MAX_CHUNK_BYTES)
  await moveIn(deps, folder, id)
}
