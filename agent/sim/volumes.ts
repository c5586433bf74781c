import { createHash } from 'node:crypto'
import { renameSync, rmSync } from 'node:fs'
import { posix } from 'node:path'
import { formatBytes } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { CreateOptions, KeptVolume, VolumeInfo, Volumes } from '../storage/volumes.ts'
import { directoryOf, type SimDisks } from './disks.ts'
import { readExtents, writeExtents } from './extents.ts'
import type { VolumeRecord, VolumeRecords } from './volume-records.ts'
import { chooseDrops, poolRooms } from './volume-rooms.ts'

const announce = (run: CommandRunner, ...argv: string[]) => run.run(argv, { timeoutMs: 10_000 })

/** Path of a kept volume: beside the old one, under a name that holds the move. */
export function keptPath(path: string, moveId: string): string {
  const tag = createHash('sha256').update(moveId).digest('hex').slice(0, 8)
  return `${posix.dirname(path)}/lifeboat-kept.${tag}.${posix.basename(path)}`
}

function inspectOne(disks: SimDisks, records: VolumeRecords, path: string) {
  if (disks.placeOf(path) === undefined) {
    return { error: `${path} is in none of the pools of this blade`, code: 'disk-not-local' } as const
  }
  const record = records.get(path)
  const image = disks.image(path)
  if (record === undefined || image === undefined) {
    return { error: `no volume ${path}`, code: 'disk-unreadable' } as const
  }
  const { storage, pool, sizeBytes, format } = record
  return {
    path,
    storage,
    pool,
    sizeBytes,
    format,
    allocatedBytes: storage === 'thick' ? sizeBytes : image.usedBytes,
  }
}

/** Makes room by dropping kept volumes, checks the place, and writes record and image. */
function createVolume(
  disks: SimDisks,
  records: VolumeRecords,
  volume: VolumeInfo,
  moveId: string,
  how?: CreateOptions,
): string[] {
  disks.hostPath(volume.path)
  const room = poolRooms(disks.pools, records.all()).find(
    pool => pool.name === volume.pool && pool.storage === volume.storage,
  )
  if (room === undefined || directoryOf(room) !== posix.dirname(volume.path)) {
    throw new LifeboatError(
      'refused',
      `this blade has no ${volume.storage} pool ${volume.pool} for ${volume.path}`,
    )
  }
  const drops = chooseDrops(room, records.all(), volume.sizeBytes, how)
  if (drops === undefined) {
    throw new LifeboatError(
      'refused',
      `${volume.path} needs ${formatBytes(volume.sizeBytes)}, ${room.name} has ${formatBytes(room.freeBytes)} free and ${formatBytes(room.reclaimableBytes)} to reclaim`,
    )
  }
  for (const drop of drops) {
    records.remove(drop.path)
    rmSync(disks.hostPath(drop.path), { force: true })
  }
  const { path, storage, pool, sizeBytes, format } = volume
  // The record first: an image without a record would be nobody's, and a second try would not find it.
  records.put({ path, storage, pool, sizeBytes, format, incomingMove: moveId })
  disks.makeImage(path, sizeBytes)
  return drops.map(drop => drop.path)
}

/** Volumes over real sparse files; see `../storage/volumes.ts` for the contract. */
export function createSimVolumes(disks: SimDisks, records: VolumeRecords): Volumes {
  const ofMove = (path: string, moveId: string): VolumeRecord | undefined => {
    disks.hostPath(path)
    const record = records.get(path)
    return record?.incomingMove === moveId ? record : undefined
  }
  const rename = (record: VolumeRecord, path: string, kept: VolumeRecord['kept']) => {
    renameSync(disks.hostPath(record.path), disks.hostPath(path))
    records.put({ ...record, path, kept, incomingMove: '' })
    records.remove(record.path)
  }

  return {
    pools: async () => poolRooms(disks.pools, records.all()),
    inspect: async paths => new Map(paths.map(path => [path, inspectOne(disks, records, path)])),
    async create(volume, moveId, run, how) {
      const known = records.get(volume.path)
      if (known?.incomingMove === moveId && known.sizeBytes === volume.sizeBytes) {
        if (disks.image(volume.path) === undefined) disks.makeImage(volume.path, volume.sizeBytes)
        return []
      }
      if (known !== undefined) {
        throw new LifeboatError('already-exists', `${volume.path} is there and belongs to another VM or move`)
      }
      await announce(run, 'sim-lvcreate', '--size', `${volume.sizeBytes}b`, volume.path)
      return createVolume(disks, records, volume, moveId, how)
    },
    async adopt(path, moveId, run) {
      const record = ofMove(path, moveId)
      if (record === undefined) {
        if (records.get(path) === undefined) throw new LifeboatError('not-found', `no volume ${path}`)
        return
      }
      await announce(run, 'sim-lvchange', '--deltag', `lifeboat.move.${moveId}`, path)
      records.put({ ...record, incomingMove: '' })
    },
    async discard(path, moveId, run) {
      if (ofMove(path, moveId) === undefined) return
      await announce(run, 'sim-lvremove', '--yes', path)
      rmSync(disks.hostPath(path), { force: true })
      records.remove(path)
    },
    async keep(path, moveId, run) {
      const target = keptPath(path, moveId)
      disks.hostPath(path)
      const record = records.get(path)
      // Another volume may have taken the path since (the VM came back): the one kept by this move is what counts.
      if (records.get(target)?.kept?.moveId === moveId) return target
      if (record === undefined) throw new LifeboatError('not-found', `no volume ${path}`)
      await announce(run, 'sim-lvrename', path, target)
      const order = Math.max(0, ...records.all().map(other => other.kept?.order ?? 0)) + 1
      rename(record, target, { moveId, originalPath: path, order })
      return target
    },
    async unkeep(path, moveId, run) {
      const record = records.get(keptPath(path, moveId))
      if (record === undefined) return
      if (records.get(path) !== undefined) throw new LifeboatError('already-exists', `${path} is there again`)
      await announce(run, 'sim-lvrename', record.path, path)
      rename(record, path, undefined)
    },
    kept: async () =>
      records
        .all()
        .flatMap(({ path, pool, sizeBytes, kept }): KeptVolume[] =>
          kept === undefined ? [] : [{ path, pool, sizeBytes, moveId: kept.moveId }],
        ),
    async drop(path, run) {
      disks.hostPath(path)
      const record = records.get(path)
      if (record === undefined) return
      if (record.kept === undefined) throw new LifeboatError('refused', `${path} is not a kept volume`)
      await announce(run, 'sim-lvremove', '--yes', path)
      rmSync(disks.hostPath(path), { force: true })
      records.remove(path)
    },
    read: (path, signal) => readExtents(disks.hostPath(path), signal),
    write: (path, extents) => writeExtents(disks.hostPath(path), extents),
    async directAccess(path, moveId) {
      const record = ofMove(path, moveId)
      if (record === undefined) {
        throw new LifeboatError('refused', `${path} was not made for ${moveId}: it may hold a VM's data`)
      }
      disks.makeImage(path, record.storage === 'file' ? 0 : record.sizeBytes)
      return { path: disks.hostPath(path), readsZero: true }
    },
  }
}
