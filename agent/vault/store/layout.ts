import { join } from 'node:path'
import { chunkPath } from '../format/chunk.ts'
import type { PointRef } from '../format/point.ts'
import type { ChunkId } from '../vault.ts'

/** Where everything lies in a vault's directory. */
export interface VaultLayout {
  readonly root: string
  /** A casync store: `<4 hex>/<64 hex>.cacnk`. What lies here is whole and durable. */
  readonly store: string
  /** `<vm id>/<point>/`: that a folder is here is what lists a restore point (rule 4). */
  readonly points: string
  /** On the same file system: what is not finished, one folder per session. Emptied when a vault is opened. */
  readonly tmp: string
  /** Chunks found corrupt. Not in the store any more, so the next backup brings them again. */
  readonly quarantine: string
  readonly state: string
  chunk(id: ChunkId): string
  vm(vmId: string): string
  point(ref: PointRef): string
}

export function vaultLayout(root: string): VaultLayout {
  const store = join(root, 'store')
  const points = join(root, 'points')
  return {
    root,
    store,
    points,
    tmp: join(root, 'tmp'),
    quarantine: join(root, 'quarantine'),
    state: join(root, 'state'),
    chunk: id => `${store}/${chunkPath(id)}`,
    vm: vmId => join(points, vmId),
    point: ref => join(points, ref.vmId, ref.point),
  }
}

/** A folder of the store: how the ids in it begin. */
export const CHUNK_FOLDER = /^[0-9a-f]{4}$/

/** The chunk a file of the store is; undefined for what is none. */
export function chunkOfFile(name: string): ChunkId | undefined {
  return /^([0-9a-f]{64})\.cacnk$/.exec(name)?.[1]
}

export const MANIFEST_FILE = 'manifest.json'
/** The definition again, for those who restore without us and have no reader of JSON. */
export const DEFINITION_FILE = 'domain.xml'
export const CHECKED_FILE = 'checked.json'
export const BOOTED_FILE = 'booted.json'

/** The index of one disk, in the folder of its restore point. */
export function indexFile(target: string): string {
  return `${target}.caibx`
}

/** What its frames sum up to, beside it. */
export function sumsFile(target: string): string {
  return `${target}.sums`
}
