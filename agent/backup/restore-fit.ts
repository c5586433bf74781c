import type { Volume } from '../../shared/domain/fleet.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { Manifest } from '../vault/format/manifest.ts'

/** Why a restore point cannot become the VM that was ordered; empty when it can. Pure. */
export function unfitness(
  manifest: Manifest,
  wanted: { readonly volumes: readonly Volume[]; readonly definesVm: boolean },
): readonly string[] {
  const problems: string[] = []
  const named = wanted.volumes.map(volume => volume.target)
  for (const volume of wanted.volumes) {
    const disk = manifest.disks.find(({ target }) => target === volume.target)
    if (disk === undefined) problems.push(`it has no disk ${volume.target}`)
    else if (disk.format !== volume.format) {
      problems.push(`disk ${disk.target} is ${disk.format}, the volume for it ${volume.format}`)
    } else if (volume.format === 'qcow2' && volume.storage !== 'file') {
      problems.push(`disk ${disk.target} is a qcow2 image, which cannot lie on an LV`)
    } else if (volume.format === 'raw' && volume.sizeBytes < disk.sizeBytes) {
      // A qcow2 file grows by itself; the size of its volume is that of the disk in it.
      const [needed, given] = [formatBytes(disk.sizeBytes), formatBytes(volume.sizeBytes)]
      problems.push(`disk ${disk.target} has ${needed}, the volume for it ${given}`)
    }
  }
  if (!wanted.definesVm) return problems
  for (const { target } of manifest.disks) {
    if (!named.includes(target)) problems.push(`there is no volume for its disk ${target}`)
  }
  if (manifest.definition === '') {
    problems.push(
      'it was added without a definition: restore its disks one by one, and define the VM by hand',
    )
  }
  return problems
}
