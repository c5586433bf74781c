import { mkdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { ChunkId } from '../vault.ts'
import { claimKey } from './claims.ts'
import { fileError, fileErrorCode, namesIn, writeWhole } from './files.ts'
import type { VaultLayout } from './layout.ts'

/** About 250 GiB of disks and 25 MiB of memory; beyond it what comes is looked at as it comes. */
const MOST = 500_000
const LINES = /\n/

/**
 * Chunks of the store that were not unpacked and hashed here yet. To do so while a backup comes in costs a fifth of all
 * its CPU time, in the hours when every blade wants to send; proof.ts does it afterwards. Until then only the blade that
 * sent such a chunk believes it: any other has to send its own, which is looked at before it takes the place. So what a
 * blade lies about, or computes wrong, touches its own restore points and nobody else's.
 *
 * Who sent what is a list in a file, durable before the chunks get their names in the store: a vault that dies takes none
 * for proven. A list that says too much costs a second look, no more.
 */
export interface Unproven {
  readonly count: number
  /** False: too many wait already. */
  readonly takesMore: boolean
  has(id: ChunkId): boolean
  /** Not to be believed by this writer; '' believes nobody. */
  isDoubted(id: ChunkId, writer: string): boolean
  /** Writes down who sends them. Durable with the next sync of the file system, to precede their names in the store. */
  add(list: string, writer: string, ids: readonly ChunkId[]): Promise<void>
  /** A file of that name is the writer's now, nobody else's. */
  own(id: ChunkId, writer: string): void
  /** The file holds what its name says. With `since`: unless another has taken its place since `mark` gave that. */
  settle(id: ChunkId, since?: object): void
  mark(id: ChunkId): object | undefined
  /** Oldest first. */
  lists(): readonly string[]
  idsOf(list: string): readonly ChunkId[]
  /** All of it were looked at. */
  drop(list: string): void
}

export function openUnproven(layout: Pick<VaultLayout, 'unproven'>): Unproven {
  /** By the same short key as claims: two chunks that share one are doubted together. */
  const owners = new Map<number, { readonly writer: string }>()
  const lists = new Set(namesIn(layout.unproven).toSorted(bySerial))
  let serial = Math.max(0, ...[...lists].map(serialOf))

  const read = (list: string): { writer: string; ids: readonly ChunkId[] } => {
    try {
      const [writer = '', ...lines] = readFileSync(join(layout.unproven, list), 'utf8').split(LINES)
      // One that was being written at a power cut: none of its chunks had a name yet.
      return { writer, ids: lines.filter(line => CHUNK.test(line)) }
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return { writer: '', ids: [] }
      throw fileError(`cannot read ${list}`, error)
    }
  }
  for (const list of lists) {
    const { writer, ids } = read(list)
    for (const id of ids) {
      const key = claimKey(id)
      const known = owners.get(key)
      // Two say that they sent it: which of them lies there is not known.
      owners.set(key, { writer: known === undefined || known.writer === writer ? writer : '' })
    }
  }

  return {
    get count() {
      return owners.size
    },
    get takesMore() {
      return owners.size < MOST
    },
    has: id => owners.has(claimKey(id)),
    isDoubted: (id, writer) => {
      const owner = owners.get(claimKey(id))
      return owner !== undefined && (owner.writer !== writer || writer === '')
    },
    add: async (name, writer, ids) => {
      mkdirSync(layout.unproven, { recursive: true })
      const list = `${++serial}-${name}`
      lists.add(list)
      await writeWhole(join(layout.unproven, list), `${[writer, ...ids].join('\n')}\n`, 0o600)
    },
    own: (id, writer) => {
      owners.set(claimKey(id), { writer })
    },
    settle: (id, since) => {
      const key = claimKey(id)
      if (since === undefined || owners.get(key) === since) owners.delete(key)
    },
    mark: id => owners.get(claimKey(id)),
    lists: () => [...lists],
    idsOf: list => read(list).ids,
    drop: list => {
      try {
        unlinkSync(join(layout.unproven, list))
      } catch (error) {
        if (fileErrorCode(error) !== 'ENOENT') throw fileError(`cannot remove ${list}`, error)
      }
      lists.delete(list)
    },
  }
}

const CHUNK = /^[0-9a-f]{64}$/
const serialOf = (list: string): number => Number.parseInt(list, 10) || 0
const bySerial = (a: string, b: string): number => serialOf(a) - serialOf(b)
