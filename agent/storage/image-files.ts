import { lstat, open, readdir, statfs } from 'node:fs/promises'
import { posix } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'
import { IMAGE_HEADER_BYTES, parseImageHeader } from './image-header.ts'
import { moveOfKeptFile } from './kept-names.ts'
import type { KeptHolding, Room } from './room.ts'
import type { DiskProblem } from './volume-store.ts'
import type { VolumeInfo } from './volumes.ts'

/** File system types of statfs(2) whose files other hosts reach too. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x00c36400, 'Ceph'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
])
const STAT_BLOCK_BYTES = 512

/** What file is a disk image; an absent file is a problem too. Never throws. */
export async function describeImage(path: string): Promise<VolumeInfo | DiskProblem> {
  try {
    return await examine(path)
  } catch (error) {
    return { code: 'disk-unreadable', error: `${path} cannot be examined: ${reasonOf(error)}` }
  }
}

async function examine(path: string): Promise<VolumeInfo | DiskProblem> {
  const notLocal = (error: string): DiskProblem => ({ code: 'disk-not-local', error })
  const stat = await lstat(path)
  // Renaming a link would keep the link and leave the data under the name the next VM gets.
  if (stat.isSymbolicLink()) return notLocal(`${path} is a symbolic link: name its target in the definition`)
  if (!stat.isFile()) return notLocal(`${path} is no regular file`)
  const pool = posix.dirname(path)
  const network = NETWORK_FILE_SYSTEMS.get((await statfs(pool)).type)
  if (network !== undefined) return notLocal(`${path} lies on a shared file system (${network})`)
  const header = parseImageHeader(await readHead(path))
  const allocatedBytes = stat.blocks * STAT_BLOCK_BYTES
  if (header.format === 'raw') {
    return { path, storage: 'file', pool, sizeBytes: stat.size, allocatedBytes, format: 'raw' }
  }
  if (header.format === 'foreign') return notLocal(`${path} is a ${header.name} image, neither raw nor qcow2`)
  if (header.format === 'broken') return { code: 'disk-unreadable', error: `${path}: ${header.error}` }
  if (header.backingFile) {
    return { code: 'disk-has-backing-file', error: `${path} is an overlay of another image` }
  }
  if (header.dataFile) return notLocal(`${path} keeps its data in another file`)
  return { path, storage: 'file', pool, sizeBytes: header.sizeBytes, allocatedBytes, format: 'qcow2' }
}

async function readHead(path: string): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(IMAGE_HEADER_BYTES),
      0,
      IMAGE_HEADER_BYTES,
      0,
    )
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

export interface ImageDirectory {
  readonly path: string
  readonly room: Room
  readonly kept: readonly { readonly path: string; readonly moveId: string; readonly sizeBytes: number }[]
}

/**
 * A directory that holds disks of VMs; undefined when there is no such directory. Every sparse file in it counts with
 * its full size, as a thin volume does. Two directories on one file system each see all of its free space: the
 * promises of one are not known to the other, and `create` asks the file system again.
 * Errors: `unavailable`.
 */
export async function readImageDirectory(directory: string): Promise<ImageDirectory | undefined> {
  try {
    const space = await statfs(directory)
    const freeBytes = space.bavail * space.bsize
    const images = await imagesIn(directory)
    const holdings = images.flatMap(keptHolding)
    const promised = images
      .filter(image => image.moveId === undefined)
      .reduce((sum, image) => sum + Math.max(0, image.info.sizeBytes - image.info.allocatedBytes), 0)
    return {
      path: directory,
      room: {
        sizeBytes: space.blocks * space.bsize,
        physicalFreeBytes: freeBytes,
        promisedFreeBytes: freeBytes - promised,
        kept: holdings,
      },
      kept: images.flatMap(({ info, moveId }) =>
        moveId === undefined ? [] : [{ path: info.path, moveId, sizeBytes: info.sizeBytes }],
      ),
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LifeboatError('unavailable', `failed to examine directory ${directory}`, { cause: error })
  }
}

interface Image {
  readonly info: VolumeInfo
  readonly moveId: string | undefined
  /** A rename changes the inode's time, so that of a kept file is since when it is kept. */
  readonly changedAt: number
}

const keptHolding = ({ info, moveId, changedAt }: Image): KeptHolding[] =>
  moveId === undefined ? [] : [{ path: info.path, keptAt: changedAt, heldBytes: info.allocatedBytes }]

async function imagesIn(directory: string): Promise<Image[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  const images: Image[] = []
  for (const entry of entries.filter(candidate => candidate.isFile())) {
    const path = posix.join(directory, entry.name)
    const info = await describeImage(path)
    // ISO images, markers, overlays: what is no disk of ours grows no further than it is.
    if ('error' in info) continue
    const changed = await lstat(path).catch(() => undefined)
    images.push({ info, moveId: moveOfKeptFile(path), changedAt: changed?.ctimeMs ?? 0 })
  }
  return images
}

/** `no such file` rather than a Node error with the path a second time. */
function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT') return 'no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'not permitted'
  return code ?? String(error)
}
