import { realpath } from 'node:fs/promises'
import type { Clock } from '../../shared/clock.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { readExtents, writeExtents } from './extents.ts'
import type { Unwritten } from './gaps.ts'
import { moveTag, readMarks, WRITTEN_TAG } from './kept-names.ts'
import { createLvm, findLv, type Lvm } from './lvm.ts'
import { dropLv, keepLv, unkeepLv } from './lvm-keep.ts'
import { type LvName, lvOfPath, lvOfPathOrRefuse, lvPath, parsePoolName } from './lvm-names.ts'
import { lvmPools, thickRoom, thinRoom, writtenBytes } from './lvm-room.ts'
import {
  isActive,
  isThinPool,
  type LogicalVolume,
  type LvmReport,
  lvStorage,
  zeroesNewChunks,
} from './lvm-text.ts'
import { planDrops, type Room } from './room.ts'
import type { DiskProblem, MakeRoom, VolumeStore } from './volume-store.ts'
import type { CreateOptions, VolumeInfo } from './volumes.ts'

/** Also makes room for what is no volume of a VM. */
export interface LvmStore extends VolumeStore {
  makeRoom: MakeRoom
}

/**
 * Volumes that are LVs. What belongs to whom is written in LVM's own tags, set in the same command that makes the LV:
 * there is no second place that could disagree after a crash.
 */
export function createLvmStore(options: { run: CommandRunner; clock: Clock }): LvmStore {
  const { clock } = options
  const lvm = createLvm({ reader: options.run, clock })

  return {
    pools: async () => lvmPools(await lvm.report()),
    async inspect(paths) {
      if (paths.length === 0) return new Map()
      const report = await lvm.report()
      const answers = paths.map(async path => [path, await describe(report, path)] as const)
      return new Map(await Promise.all(answers))
    },
    create: (volume, moveId, run, how) => create(lvm, volume, moveId, run, how),
    async adopt(path, moveId, run) {
      const volume = await existing(lvm, path)
      const { arrivingBy } = readMarks(volume.name, volume.tags)
      if (arrivingBy === undefined) return
      checkOwner(path, arrivingBy, moveId)
      await lvm.changeTags(volume, { remove: [moveTag(moveId), WRITTEN_TAG] }, run)
    },
    async discard(path, moveId, run) {
      const volume = findLv(await lvm.report('fresh'), lvOfPathOrRefuse(path))
      // Anything without this move's mark is somebody's disk: what was to go is not there, so the work is done.
      if (volume === undefined || !volume.tags.includes(moveTag(moveId))) return
      await lvm.remove(volume, run)
    },
    keep: (path, moveId, run) => keepLv(lvm, clock, path, moveId, run),
    unkeep: (path, moveId, run) => unkeepLv(lvm, path, moveId, run),
    async kept() {
      return (await lvm.report()).volumes.flatMap(volume => {
        const { kept } = readMarks(volume.name, volume.tags)
        const pool = poolOf(volume)
        if (kept === undefined || pool === undefined) return []
        return [{ path: lvPath(volume), pool, sizeBytes: volume.sizeBytes, moveId: kept.moveId }]
      })
    },
    drop: (path, run) => dropLv(lvm, path, run),
    async *read(path, signal) {
      const volume = await existing(lvm, path)
      if (!isActive(volume)) await lvm.activate(volume, options.run)
      yield* readExtents(lvPath(volume), { sizeBytes: volume.sizeBytes, signal, tellEnd: false })
    },
    async write(path, extents) {
      const report = await lvm.report('fresh')
      const volume = findLv(report, lvOfPathOrRefuse(path))
      if (volume === undefined || readMarks(volume.name, volume.tags).arrivingBy === undefined) {
        throw new LifeboatError('refused', `${path} was not made for a move: it may hold a VM's data`)
      }
      const unwritten = await unwrittenOf(lvm, report, volume)
      if (!volume.tags.includes(WRITTEN_TAG))
        await lvm.changeTags(volume, { add: [WRITTEN_TAG] }, options.run)
      await writeExtents(lvPath(volume), extents, {
        sizeBytes: volume.sizeBytes,
        unwritten,
        emptyFirst: false,
      })
    },
    async directAccess(path, moveId) {
      const report = await lvm.report('fresh')
      const volume = findLv(report, lvOfPathOrRefuse(path))
      if (volume === undefined || readMarks(volume.name, volume.tags).arrivingBy !== moveId) {
        throw new LifeboatError('refused', `${path} was not made for ${moveId}: it may hold a VM's data`)
      }
      if (!isActive(volume)) await lvm.activate(volume, options.run)
      const pool = findLv(report, { group: volume.group, name: volume.pool })
      const isZeroed = lvStorage(volume) === 'thin' && pool !== undefined && zeroesNewChunks(pool)
      // Written before, by a write that broke off: zero no longer, and what it wrote may be of another content.
      return { path: lvPath(volume), readsZero: isZeroed && !volume.tags.includes(WRITTEN_TAG) }
    },
    makeRoom: (neededBytes, run) => makeRoom(lvm, neededBytes, run),
  }
}

async function makeRoom(
  lvm: Lvm,
  neededBytes: ReadonlyMap<string, number>,
  run: CommandRunner,
): Promise<readonly string[]> {
  const report = await lvm.report('fresh')
  const drops: string[] = []
  for (const [pool, bytes] of neededBytes) {
    const room = roomOfPool(report, pool)
    // What was promised to volumes is not at stake: a snapshot takes no more than the room it asks for.
    const plan = room && planDrops({ ...room, promisedFreeBytes: room.physicalFreeBytes }, bytes)
    if (plan === undefined || !('drop' in plan)) return []
    drops.push(...plan.drop)
  }
  for (const path of drops) await dropLv(lvm, path, run)
  return drops
}

function roomOfPool({ groups, volumes }: LvmReport, pool: string): Room | undefined {
  const group = groups.find(({ name }) => name === pool)
  if (group !== undefined) return thickRoom(group, volumes)
  const thinPool = volumes.find(lv => isThinPool(lv) && `${lv.group}/${lv.name}` === pool)
  return thinPool && thinRoom(thinPool, volumes)
}

async function existing(lvm: Lvm, path: string): Promise<LogicalVolume> {
  const volume = findLv(await lvm.report('fresh'), lvOfPathOrRefuse(path))
  if (volume === undefined) throw new LifeboatError('not-found', `there is no LV ${path}`)
  return volume
}

function checkOwner(path: string, arrivingBy: string, moveId: string): void {
  if (arrivingBy === moveId) return
  throw new LifeboatError('refused', `${path} is arriving by move ${arrivingBy}, not by ${moveId}`)
}

function poolOf(volume: LogicalVolume): string | undefined {
  const storage = lvStorage(volume)
  if (storage === undefined) return undefined
  return storage === 'thin' ? `${volume.group}/${volume.pool}` : volume.group
}

async function describe(report: LvmReport, path: string): Promise<VolumeInfo | DiskProblem> {
  const name = lvOfPath(path)
  const volume = name === undefined ? undefined : findLv(report, name)
  if (volume === undefined) return await explainMissing(report, path, name)
  const storage = lvStorage(volume)
  const pool = poolOf(volume)
  if (storage === undefined || pool === undefined) {
    return {
      code: 'disk-not-local',
      error: `${path} is an LV of a kind that holds no disk (${volume.attributes})`,
    }
  }
  const { sizeBytes } = volume
  const allocatedBytes = storage === 'thin' ? writtenBytes(volume) : sizeBytes
  return { path, storage, pool, sizeBytes, allocatedBytes, format: 'raw' }
}

/** An LV named by /dev/dm-3 or a link is recognised, but cannot move: the name means something else elsewhere. */
async function explainMissing(
  report: LvmReport,
  path: string,
  name: LvName | undefined,
): Promise<DiskProblem> {
  if (name !== undefined && report.groups.some(group => group.name === name.group)) {
    return { code: 'disk-unreadable', error: `there is no LV ${name.name} in volume group ${name.group}` }
  }
  const device = await realpath(path).catch(() => path)
  const minor = /^\/dev\/dm-(\d+)$/.exec(device)?.[1]
  const volume = report.volumes.find(candidate => minor !== undefined && candidate.minor === Number(minor))
  const error =
    volume === undefined
      ? `${path} is no LV`
      : `${path} is an LV by a name that may mean another one elsewhere: use ${lvPath(volume)} in the definition`
  return { code: 'disk-not-local', error }
}

async function create(
  lvm: Lvm,
  volume: VolumeInfo,
  moveId: string,
  run: CommandRunner,
  how?: CreateOptions,
): Promise<string[]> {
  const name = lvOfPathOrRefuse(volume.path)
  const tag = moveTag(moveId)
  const report = await lvm.report('fresh')
  const there = findLv(report, name)
  if (there !== undefined) {
    if (there.tags.includes(tag) && there.sizeBytes === volume.sizeBytes) return []
    throw new LifeboatError('already-exists', `${volume.path} is there and belongs to another VM or move`)
  }
  const { room, thinPool } = placeFor(report, volume, name)
  const plan = planDrops(room, volume.sizeBytes, how)
  if (!('drop' in plan)) {
    throw new LifeboatError(
      'refused',
      `${volume.path} needs ${formatBytes(volume.sizeBytes)}, pool ${volume.pool} has ${formatBytes(plan.availableBytes)}`,
    )
  }
  for (const path of plan.drop) await dropLv(lvm, path, run)
  if (thinPool === undefined) await lvm.createThick(name, volume.sizeBytes, tag, run)
  else await lvm.createThin(name, thinPool, volume.sizeBytes, tag, run)
  return [...plan.drop]
}

/** Checks that a volume of exactly this path, kind and size can be made here. Throws `refused`. */
function placeFor(
  report: LvmReport,
  volume: VolumeInfo,
  name: LvName,
): { room: Room; thinPool: string | undefined } {
  const group = report.groups.find(candidate => candidate.name === name.group)
  const pool = volume.storage === 'thin' ? parsePoolName(volume.pool) : undefined
  const poolVolume =
    pool && report.volumes.find(lv => isThinPool(lv) && lv.group === pool.group && lv.name === pool.name)
  const isHere =
    volume.storage === 'thin'
      ? pool !== undefined && pool.group === name.group && poolVolume !== undefined
      : volume.storage === 'thick' && volume.pool === name.group
  if (group === undefined || !isHere) {
    throw new LifeboatError(
      'refused',
      `this blade has no ${volume.storage} pool ${volume.pool} for ${volume.path}`,
    )
  }
  // LVM rounds up to whole extents, and QEMU refuses to mirror onto a disk of another size.
  if (volume.sizeBytes <= 0 || volume.sizeBytes % group.extentBytes !== 0) {
    throw new LifeboatError(
      'refused',
      `${volume.path} has ${volume.sizeBytes} bytes, not whole extents of ${group.name} (${formatBytes(group.extentBytes)})`,
    )
  }
  return poolVolume === undefined
    ? { room: thickRoom(group, report.volumes), thinPool: undefined }
    : { room: thinRoom(poolVolume, report.volumes), thinPool: poolVolume.name }
}

async function unwrittenOf(lvm: Lvm, report: LvmReport, volume: LogicalVolume): Promise<Unwritten> {
  if (lvStorage(volume) !== 'thin' || volume.tags.includes(WRITTEN_TAG)) return { kind: 'old-bytes' }
  const pool = { group: volume.group, name: volume.pool }
  const poolVolume = findLv(report, pool)
  if (poolVolume !== undefined && zeroesNewChunks(poolVolume)) return { kind: 'zero' }
  return { kind: 'chunks', chunkBytes: await lvm.chunkBytes(pool) }
}
