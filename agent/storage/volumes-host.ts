import type { Clock } from '../../shared/clock.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import { createFileStore } from './file-store.ts'
import { createLvmStore } from './lvm-store.ts'
import type { MakeRoom, VolumeStore } from './volume-store.ts'
import type { VolumeInfo, Volumes } from './volumes.ts'

export interface HostVolumesOptions {
  /** Asks LVM; changes go through the runner of the operation they belong to. */
  readonly run: CommandRunner
  readonly clock: Clock
  readonly log: Logger
  /** Directories that hold disks of VMs, or kept ones of VMs that left. Nothing is made outside of them. */
  readonly directories: () => readonly string[]
}

export interface HostVolumes extends Volumes {
  /** For the snapshots of a backup: a kept volume stays unless its room is needed (rule 3). */
  readonly makeRoom: MakeRoom
}

/** The real Volumes: LVM thick and thin, raw and qcow2 files. */
export function createHostVolumes(options: HostVolumesOptions): HostVolumes {
  const { log } = options
  const lvm = createLvmStore(options)
  const files = createFileStore(options)
  const storeOf = (path: string): VolumeStore => (isDevice(path) ? lvm : files)
  const oneAtATime = createLane()

  return {
    pools: async () => [...(await lvm.pools()), ...(await files.pools())],
    async inspect(paths) {
      const [onLvm, onFiles] = [paths.filter(isDevice), paths.filter(path => !isDevice(path))]
      return new Map([...(await lvm.inspect(onLvm)), ...(await files.inspect(onFiles))])
    },
    create: (volume, moveId, run, how) =>
      oneAtATime(async () => {
        const dropped = await storeOf(volume.path).create(volume, moveId, run, how)
        for (const path of dropped) log.info(`volume ${path}: kept => dropped (room for ${volume.path})`)
        log.info(`volume ${volume.path}: absent => arriving (${describe(volume)}, move ${moveId})`)
        return dropped
      }),
    adopt: (path, moveId, run) =>
      oneAtATime(async () => {
        await storeOf(path).adopt(path, moveId, run)
        log.info(`volume ${path}: arriving => in use (move ${moveId})`)
      }),
    discard: (path, moveId, run) =>
      oneAtATime(async () => {
        await storeOf(path).discard(path, moveId, run)
        log.info(`volume ${path}: nothing of move ${moveId} is left`)
      }),
    keep: (path, moveId, run) =>
      oneAtATime(async () => {
        const keptPath = await storeOf(path).keep(path, moveId, run)
        log.info(`volume ${path}: in use => kept as ${keptPath} (move ${moveId})`)
        return keptPath
      }),
    unkeep: (path, moveId, run) =>
      oneAtATime(async () => {
        await storeOf(path).unkeep(path, moveId, run)
        log.info(`volume ${path}: kept => in use (undo of move ${moveId})`)
      }),
    kept: async () => [...(await lvm.kept()), ...(await files.kept())],
    drop: (path, run) =>
      oneAtATime(async () => {
        await storeOf(path).drop(path, run)
        log.info(`volume ${path}: kept => dropped`)
      }),
    makeRoom: (neededBytes, run) =>
      oneAtATime(async () => {
        const dropped = await lvm.makeRoom(neededBytes, run)
        const where = [...neededBytes.keys()].join(', ')
        for (const path of dropped) log.info(`volume ${path}: kept => dropped (room in ${where})`)
        return dropped
      }),
    read: (path, signal) => storeOf(path).read(path, signal),
    write: (path, extents) => storeOf(path).write(path, extents),
    directAccess: (path, moveId) => storeOf(path).directAccess(path, moveId),
  }
}

const isDevice = (path: string) => path.startsWith('/dev/')

const describe = (volume: VolumeInfo) => `${volume.storage} in ${volume.pool}, ${volume.sizeBytes} bytes`

/**
 * Changes go one after the other: two arrivals at once would both see the same free room, and both drop the same kept
 * volume for it. Copies (read, write) take minutes and are not held up.
 */
function createLane(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return work => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }
}
