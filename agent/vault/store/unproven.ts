import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../shared/clock.ts'
import type { Logger } from '../../../shared/log.ts'
import type { ChunkId } from '../vault.ts'
import { fileError, fileErrorCode, namesIn, writeWhole } from './files.ts'
import type { VaultLayout } from './layout.ts'

/** About 200 GiB of disks and 50 MiB of memory; beyond it what comes is looked at as it comes. */
const MOST_UNPROVEN = 400_000
/** So many are proven also while backups come in. */
export const MANY_UNPROVEN = 200_000
const CHUNK = /^[0-9a-f]{64}$/
/** Files beside the others in state/: a folder of their own could be shut by who sets the modes there. */
const BATCH = /^unproven-(\d+)-/
/** Whoever may read the chunks may know which are unproven. */
const MODE = 0o644

/** Who sent a chunk. Another object when another file has taken the place. */
export interface UnprovenEntry {
  readonly writer: string
}

/**
 * Chunks of the store that the vault has not unpacked and hashed yet. To do so while a backup comes in costs a fifth of all
 * its CPU time, in the hours when every blade wants to send; proof.ts does it afterwards. Until then an unproven chunk is
 * present for the blade that sent it and for nobody else: any other has to send its own, which is hashed before it takes
 * the place. So what a blade lies about, or computes wrong, touches its own restore points only.
 *
 * The senders are written to a file, a batch, before the chunks get their names in the store, so a vault that dies takes
 * no unproven chunk for proven. An entry too many costs one more look.
 */
export interface Unproven {
  /** How many chunks are unproven. */
  readonly count: number
  /** False: too many wait already. */
  readonly takesMore: boolean
  has(id: ChunkId): boolean
  /** Not to be believed by this writer; '' believes nobody. */
  isDoubted(id: ChunkId, writer: string): boolean
  /** Writes down who sends them. Durable with the next sync of the file system, to precede their names in the store. */
  add(session: string, writer: string, ids: readonly ChunkId[]): Promise<void>
  /** The writer's own file is about to get that name. */
  setSender(id: ChunkId, writer: string): void
  entryOf(id: ChunkId): UnprovenEntry | undefined
  /** The file holds what its name says, or is gone. With `entry`: unless another has taken its place since. */
  markProven(id: ChunkId, entry?: UnprovenEntry): void
  /** Oldest first. */
  batches(): readonly string[]
  /** Undefined when it cannot be read. */
  idsOf(batch: string): readonly ChunkId[] | undefined
  /** All of its chunks were looked at. */
  drop(batch: string): void
  /** A round of the scrub that began at `startedAt` hashed everything: what could not be read at the opening is no matter. */
  forgetUnread(startedAt: number): void
}

/** A batch that cannot be read could name anything: until a scrub has hashed everything all is unproven and doubted. */
export function openUnproven(
  layout: Pick<VaultLayout, 'state'>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Unproven {
  const openedAt = clock.now()
  const unread = new Set<string>()
  /** Only kept while something is unread. */
  const provenSince = new Set<string>()
  const mayBeUnread = (id: ChunkId): boolean => unread.size > 0 && !provenSince.has(keyOf(id))
  const entries = new Map<string, UnprovenEntry>()
  /** Asked of every chunk of a disk, most nights with nothing unproven: then no key is made. */
  const entryOf = (id: ChunkId): UnprovenEntry | undefined =>
    entries.size === 0 ? undefined : entries.get(keyOf(id))
  const names = namesIn(layout.state).filter(name => BATCH.test(name))
  const batches = new Set(names.toSorted((a, b) => serialOf(a) - serialOf(b)))
  let serial = Math.max(0, ...[...batches].map(serialOf))

  const read = (batch: string): { readonly writer: string; readonly ids: readonly ChunkId[] } | undefined => {
    try {
      const [writer = '', ...lines] = readFileSync(join(layout.state, batch), 'utf8').split('\n')
      // One that was being written at a power cut: none of its chunks had a name yet.
      return { writer, ids: lines.filter(line => CHUNK.test(line)) }
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return { writer: '', ids: [] }
      log.warn('a list of unproven chunks cannot be read', { path: join(layout.state, batch), error })
      return undefined
    }
  }
  for (const batch of batches) {
    const found = read(batch)
    if (found === undefined) {
      unread.add(batch)
      log.warn('until a scrub has hashed everything each blade sends its chunks anew: lifeboat vault scrub')
      continue
    }
    const { writer, ids } = found
    const entry = { writer }
    for (const id of ids) {
      const known = entryOf(id)
      // Two say that they sent it: whose file lies there is not known.
      entries.set(keyOf(id), known === undefined || known.writer === writer ? entry : { writer: '' })
    }
  }

  const drop = (batch: string): void => {
    try {
      rmSync(join(layout.state, batch), { recursive: true, force: true })
    } catch (error) {
      throw fileError(`cannot remove ${batch}`, error)
    }
    batches.delete(batch)
  }

  return {
    get count() {
      return entries.size
    },
    get takesMore() {
      return entries.size < MOST_UNPROVEN
    },
    has: id => entryOf(id) !== undefined || mayBeUnread(id),
    isDoubted: (id, writer) => {
      const entry = entryOf(id)
      return entry === undefined ? mayBeUnread(id) : entry.writer !== writer || writer === ''
    },
    add: async (session, writer, ids) => {
      const batch = `unproven-${++serial}-${session}`
      batches.add(batch)
      await writeWhole(join(layout.state, batch), `${[writer, ...ids].join('\n')}\n`, MODE)
    },
    setSender: (id, writer) => void entries.set(keyOf(id), { writer }),
    entryOf,
    markProven: (id, entry) => {
      if (entry !== undefined && entryOf(id) !== entry) return
      entries.delete(keyOf(id))
      if (unread.size > 0) provenSince.add(keyOf(id))
    },
    batches: () => [...batches],
    idsOf: batch => read(batch)?.ids,
    drop,
    forgetUnread: startedAt => {
      if (startedAt < openedAt) return
      for (const batch of unread) drop(batch)
      unread.clear()
      provenSince.clear()
    },
  }
}

/** All of the id, in half the memory of its digits: of two chunks with one key the second would never be looked at. */
const keyOf = (id: ChunkId): string => Buffer.from(id, 'hex').toString('latin1')
const serialOf = (batch: string): number => Number(BATCH.exec(batch)?.[1] ?? 0)
