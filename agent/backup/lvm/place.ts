import { realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import type { Volume } from '../../../shared/domain/fleet.ts'
import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { HostFiles } from '../../health/host-files.ts'
import { type LvName, lvOfPath, lvOfPathOrRefuse } from '../../storage/lvm-names.ts'
import { mountOf, parseMountinfo, pathInside } from './mountinfo-text.ts'
import { isMountType, type MountType } from './own.ts'

/** Where a disk lies: an LV, or a file on a file system that lies on one. */
export type DiskPlace =
  | { readonly kind: 'device'; readonly lv: LvName }
  | {
      readonly kind: 'file'
      readonly lv: LvName
      readonly fileSystem: MountType
      readonly mountedOn: string
      /** Path inside the file system. */
      readonly file: string
    }

/** Throws `refused` with the reason when no snapshot of LVM can hold the moment of this disk. */
export async function placeOfDisk(volume: Volume, files: HostFiles): Promise<DiskPlace> {
  if (volume.storage !== 'file') {
    return { kind: 'device', lv: lvOfPathOrRefuse(volume.path) }
  }
  const path = await realpath(volume.path).catch(cause => {
    throw new LifeboatError('refused', `the disk ${volume.path} cannot be found`, { cause })
  })
  const mount = mountOf(parseMountinfo(await files.read('/proc/self/mountinfo')), path)
  if (mount === undefined) throw new LifeboatError('refused', `${path} is on no mounted file system`)
  const lv = await lvOfDevice(mount.device, files)
  if (lv === undefined) {
    throw new LifeboatError(
      'refused',
      `${path} lies on ${mount.directory} (${mount.type}), which is not on an LV: no snapshot can be made of it; back it up while the VM is off`,
    )
  }
  if (!isMountType(mount.type)) {
    throw new LifeboatError(
      'refused',
      `${path} lies on a file system (${mount.type}) whose snapshot cannot be mounted beside it`,
    )
  }
  const file = posix.normalize(pathInside(mount, path))
  return { kind: 'file', lv, fileSystem: mount.type, mountedOn: mount.directory, file }
}

/** The LV behind a device number; undefined for a disk, a partition, or another target of the device mapper. */
async function lvOfDevice(device: string, files: HostFiles): Promise<LvName | undefined> {
  const ask = async (name: string) =>
    (
      await files.read(`/sys/dev/block/${device}/dm/${name}`).catch(error => {
        if (errorCode(error) === 'not-found') return ''
        throw error
      })
    ).trim()
  if (!(await ask('uuid')).startsWith('LVM-')) return undefined
  return lvOfPath(`/dev/mapper/${await ask('name')}`)
}
