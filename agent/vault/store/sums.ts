import { join } from 'node:path'
import { idKey, idKeyOfText } from '../format/id-key.ts'
import { type ChunkIndex, parseIndex } from '../format/index.ts'
import type { Manifest } from '../format/manifest.ts'
import { packSums, sumAt, sumOf } from '../format/sums.ts'
import type { Chunk } from '../vault.ts'
import { readIfThere, writeWhole } from './files.ts'
import { indexFile, sumsFile, type VaultLayout } from './layout.ts'
import { listRefs } from './listing.ts'

/** About 200 GiB of disks, and 25 MiB of memory; what comes beyond it is unpacked by who checks it. */
const MOST_SUMS = 400_000

/** Of what one session put. */
export interface SessionSums {
  note(chunk: Chunk): void
  /** 0: not put, or beyond the most. */
  of(rawId: Buffer): number
}

export function createSessionSums(): SessionSums {
  const sums = new Map<number, number>()
  return {
    note: ({ id, frame }) => {
      if (sums.size < MOST_SUMS) sums.set(idKeyOfText(id), sumOf(frame))
    },
    // The sum of another chunk of that key does not agree, and costs a look.
    of: rawId => sums.get(idKey(rawId)) ?? 0,
  }
}

/**
 * Writes the sums of each disk beside its index: of what this session put, else what the VM's newest restore point says of
 * the same chunk in the same place. Not durable by itself. Fails for nothing: a restore point does without.
 */
export async function writeSums(
  layout: VaultLayout,
  folder: string,
  { vm, disks }: Manifest,
  session: SessionSums,
): Promise<void> {
  const newest = listRefs(layout, vm.id).at(-1)
  for (const { target } of disks) {
    const index = await readIndex(folder, target)
    if (index === undefined) continue
    const before = newest === undefined ? () => 0 : await sumsIn(layout.point(newest), target)
    const bytes = packSums(index.count, position => {
      const id = index.rawIdAt(position)
      return session.of(id) || before(position, id)
    })
    await writeWhole(join(folder, sumsFile(target)), bytes, 0o644).catch(() => {})
  }
}

/** What a restore point says of a chunk in a place; 0: nothing, or that another is there. */
async function sumsIn(folder: string, target: string): Promise<(position: number, rawId: Buffer) => number> {
  const index = await readIndex(folder, target)
  const sums = await readSums(folder, target)
  if (index === undefined || sums === undefined) return () => 0
  return (position, rawId) =>
    position < index.count && index.rawIdAt(position).equals(rawId) ? sumAt(sums, position) : 0
}

/** Undefined when there are none, or they cannot be read. */
export async function readSums(folder: string, target: string): Promise<Buffer | undefined> {
  return await readIfThere(join(folder, sumsFile(target))).catch(() => undefined)
}

async function readIndex(folder: string, target: string): Promise<ChunkIndex | undefined> {
  try {
    const bytes = await readIfThere(join(folder, indexFile(target)))
    return bytes && parseIndex(bytes)
  } catch {
    return undefined
  }
}
