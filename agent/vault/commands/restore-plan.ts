import { basename, join } from 'node:path'
import type { Volume } from '../../../shared/domain/fleet.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { lvOfPath, parsePoolName } from '../../storage/lvm-names.ts'
import { type Manifest, type ManifestDisk, roomBytes } from '../format/manifest.ts'

/** Where a person wants the disks; none: where they were. */
export interface RestorePlaces {
  readonly vg?: string
  /** vg0/pool */
  readonly thin?: string
  readonly images?: string
}

/**
 * The volumes a restore makes. `name`: of the VM to be; a copy under a new name gets disks of that name, since those of
 * the original may still be there. Pure. Throws `bad-input`.
 */
export function planVolumes(manifest: Manifest, name: string, places: RestorePlaces): readonly Volume[] {
  const given = [places.vg, places.thin, places.images].filter(place => place !== undefined)
  if (given.length > 1) throw new LifeboatError('bad-input', 'give one of --vg, --thin and --images')
  return manifest.disks.map(disk => {
    const ownName = name === manifest.vm.name ? ownNameOf(disk) : undefined
    const place = placeOf(disk, places)
    const stem = ownName ?? `${name.replaceAll(/[^A-Za-z0-9+_.-]/g, '_')}-${disk.target}`
    const common = {
      target: disk.target,
      sizeBytes: roomBytes(disk),
      allocatedBytes: 0,
      format: disk.format,
      ...place,
    }
    if (place.storage !== 'file') return { ...common, path: `/dev/${place.pool.split('/')[0]}/${stem}` }
    const hasEnding = /\.[a-z0-9]{2,5}$/.test(stem)
    return { ...common, path: join(place.pool, hasEnding ? stem : `${stem}.${disk.format}`) }
  })
}

/** `web01` of /dev/vg0/web01, `web01.qcow2` of a file. */
function ownNameOf(disk: ManifestDisk): string {
  return lvOfPath(disk.path)?.name ?? basename(disk.path)
}

function placeOf(disk: ManifestDisk, { vg, thin, images }: RestorePlaces): Pick<Volume, 'storage' | 'pool'> {
  if (images !== undefined) return { storage: 'file', pool: images }
  if (disk.format === 'qcow2' && (vg !== undefined || thin !== undefined)) {
    throw new LifeboatError(
      'bad-input',
      `disk ${disk.target} is a qcow2 file and cannot lie on an LV: give --images, or export it as raw`,
    )
  }
  if (vg !== undefined) return { storage: 'thick', pool: vg }
  if (thin !== undefined) {
    if (parsePoolName(thin) !== undefined) return { storage: 'thin', pool: thin }
    throw new LifeboatError('bad-input', `'${thin}' is not a thin pool: they look like vg0/pool`)
  }
  if (disk.pool !== '') return { storage: disk.storage, pool: disk.pool }
  throw new LifeboatError(
    'bad-input',
    `disk ${disk.target} was ${disk.path}: say where it shall lie, by --vg, --thin or --images`,
  )
}
