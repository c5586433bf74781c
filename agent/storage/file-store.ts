import { link, open, rm, truncate } from 'node:fs/promises'
import { posix } from 'node:path'
import { formatBytes, MINUTE_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { readExtents, writeExtents } from './extents.ts'
import { dropFile, keepFile, unkeepFile } from './file-keep.ts'
import {
  existingFile,
  failed,
  lstatOf,
  markerOf,
  readMarker,
  syncDirectory,
  writeMarker,
} from './file-marks.ts'
import { describeImage, readImageDirectory } from './image-files.ts'
import { checkMoveId } from './kept-names.ts'
import { planDrops, toPool } from './room.ts'
import { told, type VolumeStore } from './volume-store.ts'
import type { CreateOptions, VolumeInfo } from './volumes.ts'

/** An image in the making; linked to its name when it is whole, so that a crash leaves no half image there. */
const draftOf = (path: string) => `${path}.lifeboat-draft`

/** Volumes that are raw or qcow2 files in directories that hold disks of VMs. */
export function createFileStore(options: { directories: () => readonly string[] }): VolumeStore {
  const readDirectories = async () => {
    const found = await Promise.all([...new Set(options.directories())].map(readImageDirectory))
    return found.filter(directory => directory !== undefined)
  }
  return {
    async pools() {
      return (await readDirectories()).map(({ path, room }) => toPool(path, 'file', room))
    },
    inspect: async paths =>
      new Map(await Promise.all(paths.map(async path => [path, await describeImage(path)] as const))),
    create: (volume, moveId, run, how) => create(volume, moveId, run, options.directories(), how),
    async adopt(path, moveId) {
      await existingFile(path)
      const owner = await readMarker(path)
      if (owner === undefined) return
      if (owner !== moveId) {
        throw new LifeboatError('refused', `${path} is arriving by move ${owner}, not by ${moveId}`)
      }
      await rm(markerOf(path))
      await syncDirectory(posix.dirname(path))
    },
    async discard(path, moveId) {
      // No mark of this move: somebody's disk, or gone already. Either way nothing of the move is left here.
      if ((await readMarker(path)) !== moveId) return
      // The mark goes last: as long as anything is left, it says whose it is.
      await rm(draftOf(path), { force: true })
      await rm(path, { force: true })
      await rm(markerOf(path), { force: true })
      await syncDirectory(posix.dirname(path))
    },
    keep: (path, moveId) => keepFile(path, moveId),
    unkeep: (path, moveId) => unkeepFile(path, moveId),
    async kept() {
      return (await readDirectories()).flatMap(directory =>
        directory.kept.map(one => ({ ...one, pool: directory.path })),
      )
    },
    drop: path => dropFile(path),
    async *read(path, signal) {
      const { size } = await existingFile(path)
      yield* readExtents(path, { sizeBytes: size, signal, tellEnd: true })
    },
    async write(path, extents) {
      if ((await readMarker(path)) === undefined) {
        throw new LifeboatError('refused', `${path} was not made for a move: it may hold a VM's data`)
      }
      const info = await describeImage(path)
      if ('error' in info) throw new LifeboatError('refused', info.error)
      // A qcow2 file is copied as the container it is, so how long it becomes is told by its last extent.
      const isContainer = info.format === 'qcow2'
      await writeExtents(path, extents, {
        sizeBytes: isContainer ? undefined : info.sizeBytes,
        unwritten: { kind: 'zero' },
        emptyFirst: true,
      })
    },
    async directAccess(path, moveId) {
      if ((await readMarker(path)) !== moveId) {
        throw new LifeboatError('refused', `${path} was not made for ${moveId}: it may hold a VM's data`)
      }
      await truncate(path, 0).catch(failed('unavailable', `failed to empty ${path}`))
      return { path, readsZero: true }
    },
  }
}

async function create(
  volume: VolumeInfo,
  moveId: string,
  run: CommandRunner,
  directories: readonly string[],
  how?: CreateOptions,
): Promise<string[]> {
  const { path } = volume
  checkMoveId(moveId)
  checkPlace(volume, directories)
  const owner = await readMarker(path)
  const there = await lstatOf(path)
  if (there !== undefined && owner === moveId) return []
  if (there !== undefined || (owner !== undefined && owner !== moveId)) {
    throw new LifeboatError('already-exists', `${path} is there and belongs to another VM or move`)
  }
  const dropped = await makeRoom(volume, how)
  await writeMarker(path, moveId)
  await makeDraft(volume, run)
  // link(2), unlike rename(2), never replaces a file that somebody put there in the meantime.
  await link(draftOf(path), path).catch(failed('already-exists', `failed to put ${path} in place`))
  await rm(draftOf(path))
  await syncDirectory(volume.pool)
  return dropped
}

function checkPlace(volume: VolumeInfo, directories: readonly string[]): void {
  const { path, pool, storage } = volume
  const isInside = posix.isAbsolute(path) && posix.normalize(path) === path && posix.dirname(path) === pool
  if (storage === 'file' && isInside && directories.includes(pool)) return
  throw new LifeboatError('refused', `this blade has no ${storage} pool ${pool} for ${path}`)
}

async function makeRoom(volume: VolumeInfo, how?: CreateOptions): Promise<string[]> {
  const directory = await readImageDirectory(volume.pool)
  if (directory === undefined) throw new LifeboatError('refused', `there is no directory ${volume.pool}`)
  const plan = planDrops(directory.room, volume.sizeBytes, how)
  if (!('drop' in plan)) {
    throw new LifeboatError(
      'refused',
      `${volume.path} needs ${formatBytes(volume.sizeBytes)}, ${volume.pool} has ${formatBytes(plan.availableBytes)}`,
    )
  }
  for (const path of plan.drop) await dropFile(path)
  return [...plan.drop]
}

async function makeDraft(volume: VolumeInfo, run: CommandRunner): Promise<void> {
  const draft = draftOf(volume.path)
  await rm(draft, { force: true })
  if (volume.format === 'qcow2') {
    const argv = ['qemu-img', 'create', '-q', '-f', 'qcow2', draft, String(volume.sizeBytes)]
    await told(`failed to create ${volume.path}`, run.run(argv, { timeoutMs: MINUTE_MS }))
    return
  }
  const handle = await open(draft, 'wx', 0o600).catch(
    failed('unavailable', `failed to create ${volume.path}`),
  )
  try {
    await handle.truncate(volume.sizeBytes)
    await handle.sync()
  } catch (error) {
    throw new LifeboatError('unavailable', `failed to size ${volume.path}`, { cause: error })
  } finally {
    await handle.close()
  }
}
