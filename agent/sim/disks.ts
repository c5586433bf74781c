import { mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import type { StorageKind } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'

export interface SimPool {
  readonly name: string
  readonly storage: StorageKind
  readonly sizeBytes: number
}

/** The disk images behind the paths that VMs see: `/dev/vg0/web01` lies below the blade's directory. */
export interface SimDisks {
  readonly pools: readonly SimPool[]
  /** File of the host. Throws `refused` for a path outside the pools. */
  hostPath(path: string): string
  /** Pool and kind a path belongs to by its place; undefined outside. A thin LV lies in the directory of its VG. */
  placeOf(path: string): { readonly directory: string } | undefined
  /** A sparse image that reads zero. */
  makeImage(path: string, sizeBytes: number): void
  /** Size and really used bytes; undefined when there is no image. */
  image(path: string): { readonly sizeBytes: number; readonly usedBytes: number } | undefined
}

/** `/dev/vg0` for LVs (thin ones too), the directory itself for files. */
export function directoryOf(pool: { readonly name: string; readonly storage: StorageKind }): string {
  return pool.storage === 'file' ? pool.name : `/dev/${pool.name.split('/', 1)[0]}`
}

/** Images below `root`, for the given pools. */
export function createSimDisks(root: string, pools: readonly SimPool[]): SimDisks {
  const placeOf = (path: string) => {
    const directory = posix.dirname(path)
    // Normalised, or `/dev/vg0/../../etc/x` would leave the blade's directory.
    if (posix.normalize(path) !== path || !pools.some(pool => directoryOf(pool) === directory))
      return undefined
    return { directory }
  }
  const hostPath = (path: string) => {
    if (placeOf(path) === undefined) {
      throw new LifeboatError('refused', `${path} is in none of the pools of this blade`)
    }
    return join(root, path)
  }
  return {
    pools,
    hostPath,
    placeOf,
    makeImage(path, sizeBytes) {
      const file = hostPath(path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, '')
      truncateSync(file, sizeBytes)
    },
    image(path) {
      const stat = statSync(hostPath(path), { throwIfNoEntry: false })
      return stat && { sizeBytes: stat.size, usedBytes: stat.blocks * 512 }
    },
  }
}
