import { bladesOf } from '../../hosts.ts'
import type { Lab } from '../../lab.ts'
import { GUESTS, type GuestSetting } from '../../settings.ts'

/** One VM to be migrated by hand. */
export interface HandMove {
  vm: string
  from: string
  to: string
}

/**
 * The comparison: VMs migrated one after the other by an administrator who types what he would type, on blades that
 * trust each other's root: volumes of the same size at the target, then bare `virsh migrate` over ssh, with the data
 * unencrypted from QEMU to QEMU. Returns the time of all of it in ms; that the source's volumes stay behind, as they do
 * after Lifeboat's moves, is tidied up outside it.
 */
export async function migrateByHand(lab: Lab, moves: readonly HandMove[]): Promise<number> {
  const startedAt = performance.now()
  for (const { vm, from, to } of moves) {
    for (const argv of createVolumes(vm)) await lab.mustExec(to, argv, { timeoutMs: 120_000 })
    await lab.mustExec(from, virshMigrate(vm, to), { timeoutMs: 480_000 })
  }
  const durationMs = performance.now() - startedAt
  for (const { vm, from } of moves) await lab.mustExec(from, removeVolumes(vm), { timeoutMs: 120_000 })
  return durationMs
}

function virshMigrate(vm: string, to: string): string[] {
  const address = bladesOf(9).find(blade => blade.name === to)?.address
  const flags = ['--live', '--persistent', '--undefinesource', '--copy-storage-all']
  // The address twice: libvirt would have the target's host name resolved for the data.
  return ['virsh', 'migrate', ...flags, vm, `qemu+ssh://root@${address}/system`, `tcp://${address}`]
}

function createVolumes(vm: string): string[][] {
  return settingOf(vm).volumes.map(({ name, sizeMiB, thin }) =>
    thin
      ? ['lvcreate', '-qy', '-V', `${sizeMiB}M`, '-T', 'vg0/pool', '-n', name]
      : ['lvcreate', '-qy', '-W', 'y', '-L', `${sizeMiB}M`, '-n', name, 'vg0'],
  )
}

function removeVolumes(vm: string): string[] {
  return ['lvremove', '-qy', ...settingOf(vm).volumes.map(volume => `vg0/${volume.name}`)]
}

function settingOf(vm: string): GuestSetting {
  const setting = GUESTS.find(guest => guest.name === vm)
  if (setting === undefined) throw new Error(`${vm} is no guest of the lab`)
  return setting
}
