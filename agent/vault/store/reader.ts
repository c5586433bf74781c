import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../../../shared/clock.ts'
import { MINUTE_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { parseChunkId, parseIndex } from '../format/index.ts'
import type { Manifest } from '../format/manifest.ts'
import { isPointRef, type PointRef } from '../format/point.ts'
import type { Chunk, ChunkId } from '../vault.ts'
import { eachBounded } from './bounded.ts'
import { claimKey } from './claims.ts'
import { readIfThere } from './files.ts'
import { indexFile, type VaultLayout } from './layout.ts'
import { notListed, readManifest } from './listing.ts'

const READS_AT_ONCE = 4
/** Restore points whose ids stay in memory: as many as are restored at once. */
const KEPT_POINTS = 4
/** After its last read a restore point counts as in use for so long: a restore may pause to write. */
const IN_USE_MS = 10 * MINUTE_MS

/** What a restore reads. */
export interface PointReader {
  manifest(ref: PointRef): Promise<Manifest>
  index(ref: PointRef, target: string): Promise<Buffer>
  chunks(ref: PointRef, ids: readonly ChunkId[], memory?: Buffer): Promise<readonly Chunk[]>
  /** It is being read: so a check says, which takes hours. */
  touch(ref: PointRef): void
  isInUse(ref: PointRef): boolean
}

export function createPointReader(layout: VaultLayout, clock: Clock): PointReader {
  const lastReadAt = new Map<string, number>()
  const known = new Map<string, ReadonlySet<number>>()
  const keyOf = ({ vmId, point }: PointRef) => `${vmId}/${point}`
  const touch = (ref: PointRef) => {
    for (const [key, at] of lastReadAt) if (clock.now() - at > IN_USE_MS) lastReadAt.delete(key)
    lastReadAt.set(keyOf(ref), clock.now())
  }

  const manifest = async (ref: PointRef): Promise<Manifest> => {
    checkRef(ref)
    const found = await readManifest(layout, ref)
    touch(ref)
    return found
  }
  const index = async (ref: PointRef, target: string): Promise<Buffer> => {
    const { disks } = await manifest(ref)
    const disk = disks.find(one => one.target === target)
    if (disk === undefined) {
      throw new LifeboatError('not-found', `restore point ${ref.point} has no disk '${target}'`)
    }
    const bytes = await readIfThere(join(layout.point(ref), indexFile(target)))
    if (bytes === undefined || hash('sha256', bytes, 'hex') !== disk.indexSha256) {
      throw new LifeboatError(
        'refused',
        `the index of ${target} of restore point ${ref.point} is ${bytes === undefined ? 'gone' : 'damaged'}`,
      )
    }
    return bytes
  }
  const idsOf = async (ref: PointRef): Promise<ReadonlySet<number>> => {
    const key = keyOf(ref)
    const found = known.get(key)
    if (found !== undefined) return found
    const keys = new Set<number>()
    for (const { target } of (await manifest(ref)).disks) {
      const parsed = parseIndex(await index(ref, target))
      for (let position = 0; position < parsed.count; position++) keys.add(claimKey(parsed.idAt(position)))
    }
    const [oldest] = known.keys()
    if (known.size >= KEPT_POINTS && oldest !== undefined) known.delete(oldest)
    known.set(key, keys)
    return keys
  }

  return {
    manifest,
    index,
    touch,
    chunks: async (ref, ids, memory) => {
      checkRef(ref)
      const own = await idsOf(ref)
      touch(ref)
      const found: Chunk[] = new Array(ids.length)
      const roomFor = partsOf(memory)
      await eachBounded(ids.entries(), READS_AT_ONCE, async ([position, id]) => {
        if (!own.has(claimKey(parseChunkId(id)))) {
          throw new LifeboatError('not-found', `chunk ${id} is not of restore point ${ref.point}`)
        }
        const frame = await readIfThere(layout.chunk(id), roomFor)
        if (frame === undefined) throw new LifeboatError('not-found', `chunk ${id} is not in the vault`)
        found[position] = { id, frame }
      })
      return found
    },
    isInUse: ref => clock.now() - (lastReadAt.get(keyOf(ref)) ?? Number.NEGATIVE_INFINITY) <= IN_USE_MS,
  }
}

/** One part after the other of the memory, and memory of its own for what finds no room there. */
function partsOf(memory: Buffer | undefined): (bytes: number) => Buffer {
  let taken = 0
  return bytes => {
    if (memory === undefined || taken + bytes > memory.length) return Buffer.allocUnsafeSlow(bytes)
    taken += bytes
    return memory.subarray(taken - bytes, taken)
  }
}

function checkRef(ref: PointRef): void {
  if (!isPointRef(ref)) throw notListed(ref)
}
