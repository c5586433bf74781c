import type { Volume } from '../../shared/domain/fleet.ts'
import { errorCode, LifeboatError } from '../../shared/errors.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'

/**
 * The definition that a restore point keeps, of a VM of which these volumes are backed up. It is not the running VM's: a
 * restore must find a volume for each disk of it. A restore point without one of them would be listed as whole and could
 * not become the VM again. Throws `refused`.
 */
export async function wholeDefinition(
  hypervisor: Hypervisor,
  { id, name }: { readonly id: string; readonly name: string },
  volumes: readonly Volume[],
): Promise<string> {
  const disks = new Map(volumes.map(volume => [volume.target, volume]))
  const definition = await hypervisor.definition(id)
  try {
    hypervisor.adaptDefinition(definition, { id, name, disks, newIdentity: false, isolated: false })
  } catch (error) {
    if (errorCode(error) !== 'bad-input') throw error
    throw new LifeboatError('refused', `no VM could be made again of a backup of ${name}`, { cause: error })
  }
  return definition
}
