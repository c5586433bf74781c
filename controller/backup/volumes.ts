import type { StorageKind, Volume, VolumeFormat } from '../../shared/domain/fleet.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { PoolRoom, Room } from '../placement/room.ts'

/** One disk of a restore point. */
export interface SavedDisk {
  readonly target: string
  /** Room it needs once it is full: for a qcow2 image that of the disk in it. */
  readonly sizeBytes: number
  readonly format: VolumeFormat
  readonly storage: StorageKind
  readonly pool: string
  readonly path: string
}

export interface VolumeWish {
  /** Name the volumes are called after, and the name their VM had. */
  readonly name: string
  readonly savedName: string
  readonly disks: readonly SavedDisk[]
}

/** Where each disk would lie on that blade: in its own pool if there is one with room, else where there is room. */
export function mapVolumes(
  wish: VolumeWish,
  room: Room,
): { readonly volumes: readonly Volume[]; readonly reasons: readonly Reason[] } {
  const volumes: Volume[] = []
  const reasons: Reason[] = []
  const taken = new Set([...room.vms.values()].flatMap(vm => vm.paths))
  let pools = room.pools
  for (const disk of wish.disks) {
    const pool = choosePool(disk, pools)
    if (pool === undefined) {
      reasons.push(noPool(disk, room))
      continue
    }
    const path = freePath(pathsFor(disk, pool, wish), taken)
    taken.add(path)
    pools = pools.map(each =>
      each === pool ? { ...each, availableBytes: each.availableBytes - disk.sizeBytes } : each,
    )
    const { target, sizeBytes, format } = disk
    volumes.push({
      target,
      path,
      storage: pool.storage,
      pool: pool.name,
      sizeBytes,
      allocatedBytes: 0,
      format,
    })
  }
  return { volumes, reasons }
}

/**
 * With no room anywhere the disk stays with the likeliest pool: the gate then says how much is missing there, and a
 * person may pass over it. A qcow2 image is a file and cannot lie on an LV.
 */
function choosePool(disk: SavedDisk, pools: readonly PoolRoom[]): PoolRoom | undefined {
  const able = pools.filter(pool => disk.format === 'raw' || pool.storage === 'file')
  const isOwn = (pool: PoolRoom) => pool.name === disk.pool && pool.storage === disk.storage
  const byLiking = able.toSorted(
    (a, b) =>
      Number(isOwn(b)) - Number(isOwn(a)) ||
      Number(b.storage === disk.storage) - Number(a.storage === disk.storage) ||
      // An LV before a file: it is what the other VMs of the blade have.
      Number(a.storage === 'file') - Number(b.storage === 'file') ||
      b.availableBytes - a.availableBytes ||
      (a.name < b.name ? -1 : 1),
  )
  return byLiking.find(pool => pool.availableBytes >= disk.sizeBytes) ?? byLiking[0]
}

function noPool(disk: SavedDisk, { blade }: Room): Reason {
  const what = disk.format === 'qcow2' ? 'directory for image files' : 'storage pool'
  return {
    code: 'storage-missing',
    blade: blade.name,
    text: `${blade.name} has no ${what} for disk ${disk.target} (${formatBytes(disk.sizeBytes)})`,
    needed: disk.sizeBytes,
    available: 0,
  }
}

/** Under its old path where that means the same; else a name that says whose it is. */
function* pathsFor(disk: SavedDisk, pool: PoolRoom, { name, savedName }: VolumeWish): Generator<string> {
  const own = pool.name === disk.pool && pool.storage === disk.storage && disk.path !== ''
  if (own && name === savedName) yield disk.path
  const base = basename(disk.path)
  const called = base.includes(savedName) ? base.replace(savedName, name) : `${name}-${disk.target}`
  const safe = called.replaceAll(/[^A-Za-z0-9+_.-]/g, '-').replace(/^[-.]/, 'x')
  for (let number = 1; ; number += 1) {
    yield pathIn(pool, number === 1 ? safe : `${safe}-${number}`, disk.format)
  }
}

function freePath(paths: Generator<string>, taken: ReadonlySet<string>): string {
  for (const path of paths) if (!taken.has(path)) return path
  return ''
}

function pathIn(pool: PoolRoom, name: string, format: VolumeFormat): string {
  if (pool.storage === 'file') return `${pool.name}/${name}.${format === 'qcow2' ? 'qcow2' : 'img'}`
  // A thin pool is called vg0/pool; its volumes lie beside it.
  return `/dev/${pool.name.split('/')[0] ?? ''}/${name}`
}

function basename(path: string): string {
  return (path.split('/').at(-1) ?? '').replace(/\.(img|raw|qcow2)$/, '')
}
