import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { MigrationSockets } from './hypervisor.ts'

/**
 * Below /run/libvirt, because that is where QEMU may make and reach sockets on Debian: the AppArmor profile of each VM
 * (made by libvirt's virt-aa-helper, src/security/virt-aa-helper.c) allows
 * `/run/libvirt/**` + `/*.tunnelmigrate.dest.NAME` and no other path of ours. Without AppArmor any place would do.
 */
export const SOCKET_DIRECTORY = '/run/libvirt/lifeboat'

export interface SocketDirectory {
  readonly path: string
  readonly mode: number
}

/**
 * The directories the agent makes before each migration (libvirt may clear /run/libvirt when it restarts).
 * In `moves` QEMU of the target makes its sockets under its own user, so all may write; nobody may list it (1733), and
 * the names hold part of the move's id: no other user of the blade can guess a name and listen there first. Only we
 * write in the directory above.
 */
export function socketDirectories(directory: string): readonly SocketDirectory[] {
  return [
    { path: directory, mode: 0o711 },
    { path: movesDirectory(directory), mode: 0o1733 },
  ]
}

/** Where libvirt listens; virtqemud listens there too when it is installed instead of libvirtd. */
const LIBVIRT_SOCKET = '/run/libvirt/libvirt-sock'

/** sun_path holds 107 bytes and a zero. */
const PATH_LIMIT_BYTES = 107
const PROFILE_INFIX = '.tunnelmigrate.dest.'

/**
 * Where libvirt and QEMU of the target listen for one migration. `memory` and `disk` have the SAME path on both blades:
 * libvirt takes one URI for each, listens there at the target and connects there at the source.
 */
export function incomingSockets(directory: string, vmName: string, moveId: string): MigrationSockets {
  return { ...qemuSockets(directory, vmName, moveId), control: LIBVIRT_SOCKET }
}

/** Where the agent of the source must listen for one migration. */
export function outgoingSockets(directory: string, vmName: string, moveId: string): MigrationSockets {
  const control = join(movesDirectory(directory), `${shortHash(`${moveId} ${vmName}`)}c`)
  return { ...qemuSockets(directory, vmName, moveId), control }
}

/** False: the name is so long that its socket would break the limit of the kernel. */
export function socketNameFits(directory: string, vmName: string): boolean {
  return Buffer.byteLength(profilePath(directory, 'm', vmName, '')) <= PATH_LIMIT_BYTES
}

function movesDirectory(directory: string): string {
  return join(directory, 'moves')
}

function qemuSockets(
  directory: string,
  vmName: string,
  moveId: string,
): Pick<MigrationSockets, 'memory' | 'disk'> {
  // A name that does not fit is hashed as well: the path is legal then, but outside the AppArmor profile, which names
  // the VM in full. Such a VM carries an obstacle, so this is the second line only.
  const name = socketNameFits(directory, vmName) ? vmName : shortHash(vmName)
  return {
    memory: profilePath(directory, 'm', name, moveId),
    disk: profilePath(directory, 'd', name, moveId),
  }
}

function profilePath(directory: string, channel: 'm' | 'd', name: string, moveId: string): string {
  return join(movesDirectory(directory), `${shortHash(moveId)}${channel}${PROFILE_INFIX}${name}`)
}

/** 40 bits: enough that two moves of one VM never meet, short enough to leave the room to the name. */
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10)
}
